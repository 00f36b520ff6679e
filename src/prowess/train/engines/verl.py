"""verl (Ray, FSDP, vLLM; many machines) under a recipe: what crosses the border, as plain functions.

verl asks an *agent loop* for what one task gave: ids of prompt and response, which of the response were sampled, their
log-probabilities, a reward. `ServerPolicy` lets a recipe's rollout run against verl's inference server, and `outputs`
turns its episodes into what the loop returns, one for each sample: `AgentLoopOutput(**output)`. `advantages` lays a
recipe's own advantages out as verl's trainer wants them. Nothing here imports verl; `docs/train-scale.md` has the few
lines that do.

Read in verl 0.9.1: `experimental/agent_loop/agent_loop.py`, `trainer/ppo/v1`. verl trains one actor.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol
from uuid import uuid4

from prowess.core.errors import UserError
from prowess.train.parts import Ids, Tokens
from prowess.train.samples import Completion, Episode, Sample


class Server(Protocol):
    """What is used of verl's LLM server client."""

    def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Returns an object with `token_ids` and `log_probs`."""
        ...


class ServerPolicy:
    """verl's server as a policy that rollouts can call from a thread.

    Args:
        loop: the event loop that the server's client belongs to; the rollout must run outside it
            (`asyncio.to_thread`), or it would wait for itself.
        version: the step of the weights that the server holds.
    """

    trainable = False

    def __init__(
        self, name: str, server: Server, tokens: Tokens, loop: asyncio.AbstractEventLoop, version: int = 0
    ) -> None:
        self.name, self.tokens, self.version = name, tokens, version
        self._server, self._loop = server, loop

    def sample(
        self, prompts: Sequence[Ids], *, copies: int = 1, longest: int, temperature: float = 1.0, seed: int
    ) -> list[Completion]:
        """See `Policy.sample`. The whole distribution is sampled from, or the log-probabilities would be of another."""

        async def all_of() -> list[Any]:
            return await asyncio.gather(
                *(
                    self._server.generate(
                        uuid4().hex,
                        prompt_ids=list(prompt),
                        sampling_params={
                            "temperature": temperature, "top_p": 1.0, "top_k": -1, "max_tokens": longest,
                            "seed": seed + i, "logprobs": True,
                        },
                    )
                    for i, prompt in enumerate(p for p in prompts for _ in range(copies))
                )
            )  # fmt: skip

        said = asyncio.run_coroutine_threadsafe(all_of(), self._loop).result()
        return [self._completion(out) for out in said]

    def _completion(self, out: Any) -> Completion:
        ids: list[int] = list(out.token_ids)
        logp: list[float] = list(out.log_probs or ())
        if len(ids) != len(logp):
            raise UserError(
                f"verl's server gave {len(logp)} log-probabilities for {len(ids)} tokens",
                "set `actor_rollout_ref.rollout.calculate_log_probs=True`",
            )
        return Completion(ids, logp, bool(ids) and ids[-1] == self.tokens.end)

    def score(self, rows: Sequence[Ids]) -> list[list[float]]:
        """Raises `UserError`: verl scores with its own reference worker."""
        raise UserError("verl's server does not score", "let verl's reference policy do it")


def response_at(sample: Sample) -> int:
    """Where the response begins: at the first sampled token."""
    return sample.mask.index(True)


def outputs(episode: Episode) -> list[dict[str, Any]]:
    """The fields of an `AgentLoopOutput` for each sample of an episode. The environment's words between turns are part
    of the response, with mask 0.

    Raises:
        UserError: a sample has no sampled token, or the episode no reward.
    """
    if episode.reward is None:
        raise UserError(
            f"the episode of task {episode.task.id!r} has no reward", "verl cannot leave one out; give it 0"
        )
    found: list[dict[str, Any]] = []
    for i, s in enumerate(episode.samples):
        if not any(s.mask):
            raise UserError(f"sample {i} of task {episode.task.id!r} has no sampled token", "leave it out")
        at = response_at(s)
        found.append(
            {
                "prompt_ids": s.ids[:at],
                "response_ids": s.ids[at:],
                "response_mask": [int(m) for m in s.mask[at:]],
                "response_logprobs": s.logp[at:],
                "reward_score": episode.step_rewards[i] if episode.step_rewards else episode.reward,
                "num_turns": 1 + max(s.turn, default=0),
                "metrics": {},
                "extra_fields": {"role": s.role, "position": s.position, "parts": dict(episode.parts)},
            }
        )
    return found


def advantages(samples: Sequence[Sample], length: int) -> list[list[float]]:
    """For each sample a row of `length` advantages over its response: what the recipe wrote, times its weight; 0
    behind.

    Raises:
        UserError: a response is longer than `length`.
    """
    rows: list[list[float]] = []
    for s in samples:
        adv, weight = s.streams.get("adv", [0.0] * len(s.ids)), s.streams.get("w_rl", [0.0] * len(s.ids))
        row = [a * w for a, w in zip(adv, weight, strict=True)][response_at(s) :]
        if len(row) > length:
            raise UserError(f"a response of {len(row)} tokens exceeds {length}", "raise `data.max_response_length`")
        rows.append(row + [0.0] * (length - len(row)))
    return rows
