"""A policy as the model of an agent: whatever runs in prowess with a model runs with a policy, and can be trained on.

Agents ask one by one, and a policy answers many for little more than one. So requests wait for one another and are
answered in one batch. What was said is kept as ids: ids sampled are ids trained.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio

from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import Request, Response
from prowess.train.policies.model import ModelPolicy
from prowess.train.samples import Completion

MOMENT = 0.02
"""Seconds without a new request after which those that wait are answered, where nobody knows how many may come."""
BATCH = 1 << 17
"""Tokens, prompts and answers together, that are kept at once."""


class Said(NamedTuple):
    """One answer of the policy."""

    prompt: list[int]
    completion: Completion


@dataclass(slots=True, eq=False)
class _Asked:
    number: int
    request: Request
    prompt: list[int]
    answered: anyio.Event = field(default_factory=anyio.Event)
    said: Completion | None = None
    error: Exception | None = None


class PolicyModel:
    """A `Model` that answers with a policy.

    Args:
        policy: Its tokens must know conversations.
        name: Identity of the weights, for content keys; see `fingerprint`.
        longest: Most tokens of an answer; a request may ask for fewer.
        temperature: In place of what requests ask for.
        seed: Gives a fresh seed for each batch; the requests' own where None.
        together: Runs that may still ask. With it a batch is answered when all of them wait, so that equal seeds give
            equal runs; `leave` says that one has ended. Without it, when nobody has come for a moment.
    """

    def __init__(
        self, policy: ModelPolicy, name: str, *, longest: int, temperature: float | None = None,
        seed: Callable[[], int] | None = None, together: int | None = None,
    ) -> None:  # fmt: skip
        self.policy, self.longest, self.temperature, self.together = policy, longest, temperature, together
        self._name, self._seed = name, seed
        self._waiting: list[_Asked] = []

    @property
    def name(self) -> str:
        return self._name

    async def complete(self, request: Request) -> Response:
        return await self.ask(request, 0, [])

    def seat(self, number: int) -> "Seat":
        """The model of one run among several; numbers order the batch."""
        return Seat(self, number)

    def leave(self) -> None:
        """A run has ended and asks no more."""
        if self.together is not None:
            self.together -= 1
            self._answer_if_full()

    async def ask(self, request: Request, number: int, kept: list[Said]) -> Response:
        """The answer to one request, which is added to `kept`.

        Raises:
            UserError: the prompt does not fit the policy's context, or has a character that it has no token for.
        """
        asked = _Asked(number, request, self.policy.tokens.conversation(request.messages))
        self._waiting.append(asked)
        self._answer_if_full()
        if self.together is None and self._waiting[:1] == [asked]:
            before = 0
            while before < len(self._waiting):
                before = len(self._waiting)
                await anyio.sleep(MOMENT)
            self._answer()
        await asked.answered.wait()
        if asked.error is not None:
            raise asked.error
        assert asked.said is not None  # answered, and without an error
        said, text = _until_stop(self.policy.tokens, asked.said, request.stop)
        kept.append(Said(asked.prompt, said))
        return Response(
            text=text, finish_reason="stop" if said.finished else "length", model=self._name,
            cost=Cost(calls=1, prompt_tokens=len(asked.prompt), completion_tokens=len(said.ids)),
            logprobs=tuple(said.logp),
        )  # fmt: skip

    def _answer_if_full(self) -> None:
        if self.together is not None and self._waiting and len(self._waiting) >= self.together:
            self._answer()

    def _answer(self) -> None:
        """Answer all that wait; an error is everybody's, since nobody else would wake them."""
        batch, self._waiting = sorted(self._waiting, key=lambda a: a.number), []
        try:
            kinds = dict.fromkeys((a.request.max_tokens, a.request.temperature) for a in batch)
            for kind in kinds:
                self._sample([a for a in batch if (a.request.max_tokens, a.request.temperature) == kind])
        except UserError as error:
            for asked in batch:
                asked.error = error
        for asked in batch:
            asked.answered.set()

    def _sample(self, batch: list[_Asked]) -> None:
        first = batch[0].request
        longest = min(self.longest, first.max_tokens)
        rows = max(1, BATCH // (max(len(a.prompt) for a in batch) + longest))
        for i in range(0, len(batch), rows):
            part = batch[i : i + rows]
            found = self.policy.sample(
                [a.prompt for a in part], longest=longest,
                temperature=first.temperature if self.temperature is None else self.temperature,
                seed=first.seed if self._seed is None else self._seed(),
            )  # fmt: skip
            for asked, said in zip(part, found, strict=True):
                asked.said = said


class Seat:
    """The model of one run: answers come from the shared batch, and what was said to this run is kept."""

    def __init__(self, model: PolicyModel, number: int) -> None:
        self._model, self._number = model, number
        self.said: list[Said] = []

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(self, request: Request) -> Response:
        return await self._model.ask(request, self._number, self.said)


def _until_stop(tokens: Any, said: Completion, stops: tuple[str, ...]) -> tuple[Completion, str]:
    """The answer up to the first stop text, and its ids up to where that is complete."""
    text = tokens.decode(said.ids)
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return said, text
    n = next(n for n in range(1, len(said.ids) + 1) if any(stop in tokens.decode(said.ids[:n]) for stop in stops))
    return Completion(said.ids[:n], said.logp[:n], finished=True), text[: min(found)]


def fingerprint(policy: ModelPolicy) -> str:
    """A short digest of a policy's own weights."""
    found = hashlib.sha256()
    for name, weight in policy.snapshot().items():
        found.update(name.encode())
        found.update(weight.float().cpu().numpy().tobytes())
    return found.hexdigest()[:12]
