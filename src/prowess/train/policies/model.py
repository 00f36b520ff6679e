"""A policy made of a network, or of an adapter of a shared one: samples from it, scores, and gives its gradients."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType]

from prowess.core.errors import UserError
from prowess.train.packing import Forward, Packed, listed
from prowess.train.parts import Ids, Tokens
from prowess.train.policies import adapters
from prowess.train.policies.decoder import padded
from prowess.train.samples import Completion

CHUNK = 1 << 25
"""Most logits that are held at once while training; those of larger batches are computed in pieces, twice."""
SCORED = 256
"""Rows that are scored at once."""


class Kept(Protocol):
    """What a network remembers of the sequences that it is continuing."""

    def keep(self, rows: Tensor) -> None: ...


class Network(Protocol):
    """What a policy needs of a network; `Decoder` and `Foreign` are such."""

    @property
    def context(self) -> int: ...

    def hidden(self, ids: Tensor, lengths: Tensor) -> Tensor: ...

    def logits(self, hidden: Tensor) -> Tensor: ...

    def start(self, ids: Tensor, lengths: Tensor, rows: Tensor, room: int) -> tuple[Tensor, Any]: ...

    def step(self, ids: Tensor, cache: Any) -> Tensor: ...

    def next(self, hidden: Tensor, cache: Any) -> Tensor: ...


class ModelPolicy:
    """A network, or one adapter of it, that samples, scores and learns.

    Args:
        network: a `Network` that is a torch module. Several policies may share it if each has an adapter, or one none.
        adapter: the LoRA adapter that is this policy; empty for the network itself.
        trainable: False for references and frozen executors; the trainer refuses to train those.
    """

    def __init__(
        self, name: str, network: Any, tokens: Tokens, *, adapter: str = "", trainable: bool = True, device: str = "cpu"
    ) -> None:
        self.name, self.network, self.tokens = name, network, tokens
        self.adapter, self.trainable, self.device = adapter, trainable, device
        self.version = 0
        if adapter and adapter not in adapters.names(network):
            raise UserError(f"policy {name!r}: the network has no adapter {adapter!r}", "add it with `adapters.add`")

    @torch.inference_mode()
    def sample(
        self, prompts: Sequence[Ids], *, copies: int = 1, longest: int, temperature: float = 1.0, seed: int
    ) -> list[Completion]:
        """See `Policy.sample`. Equal prompts are read once; rows that have ended are dropped as soon as half has."""
        if not prompts:
            return []
        room = max(len(p) for p in prompts) + longest
        if room > self.network.context:
            raise UserError(
                f"{self.name}: a prompt of {room - longest} tokens and {longest} new ones exceed its context of "
                f"{self.network.context}",
                "shorten the prompt, ask for less, or take a model with a longer context",
            )
        self._select()
        place = {prompt: i for i, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        ids, lengths = padded(list(place), self.device)
        which = [place[tuple(prompt)] for prompt in prompts for _ in range(copies)]
        source = torch.Generator(self.device).manual_seed(seed)
        hidden, cache = self.network.start(ids, lengths, torch.tensor(which, device=self.device), room)
        total = len(prompts) * copies
        said = torch.zeros(total, longest, dtype=torch.long, device=self.device)
        logp = torch.zeros(total, longest, device=self.device)
        rows = torch.arange(total, device=self.device)
        live = torch.ones(total, dtype=torch.bool, device=self.device)
        ends = torch.full((total,), longest, device=self.device)
        for t in range(longest):
            logits = self.network.next(hidden, cache).float()
            chances = torch.log_softmax(logits if temperature in (0, 1) else logits / temperature, -1)
            if temperature == 0:
                chosen = chances.argmax(-1)
            else:  # one random number a row, looked up among the summed chances: quicker than multinomial
                summed = chances.exp().cumsum(-1)
                drawn = torch.rand(len(summed), 1, generator=source, device=self.device) * summed[:, -1:]
                chosen = torch.searchsorted(summed, drawn, right=True)[:, 0].clamp(max=summed.shape[1] - 1)
            said[rows, t] = chosen
            logp[rows, t] = chances.gather(1, chosen[:, None])[:, 0]
            ended = live & (chosen == self.tokens.end)
            ends[rows[ended]] = t + 1
            live &= ~ended
            left = int(live.sum())
            if left == 0 or t == longest - 1:
                break
            if left <= len(rows) // 2:
                kept = live.nonzero()[:, 0]
                cache.keep(kept)
                rows, live, chosen = rows[kept], live[kept], chosen[kept]
            hidden = self.network.step(chosen, cache)
        return [
            Completion(s[:n], p[:n], s[n - 1] == self.tokens.end)
            for s, p, n in zip(listed(said), listed(logp), listed(ends), strict=True)
        ]

    @torch.no_grad()
    def score(self, rows: Sequence[Ids]) -> list[list[float]]:
        self._select()
        found: list[list[float]] = []
        for i in range(0, len(rows), SCORED):
            found += self._score(rows[i : i + SCORED])
        return found

    def _score(self, rows: Sequence[Ids]) -> list[list[float]]:
        ids, lengths = padded(rows, self.device)
        where = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        where[:, 0] = False
        one = torch.ones(len(rows), 1, device=ids.device)
        logp, _ = self._logp(self.network.hidden(ids, lengths), ids, where, one, entropy=False)
        return [row[: len(ids)] for row, ids in zip(listed(logp), rows, strict=True)]

    def forward(self, batch: Packed, needs: frozenset[str] = frozenset()) -> Forward:
        """Log-probabilities where the batch needs them, with gradients; entropies and hidden states on request."""
        self._select()
        hidden = self.network.hidden(batch.ids, batch.lengths)
        logp, entropy = self._logp(hidden, batch.ids, batch.needed, batch.temperature, entropy="entropy" in needs)
        return Forward(logp, entropy, hidden if "hidden" in needs else None)

    def option_logprobs(self, prompt: Ids, options: Sequence[Ids]) -> list[float]:
        """Log-probability of each whole option after the prompt: multiple choice, routers, verifiers."""
        scored = self.score([[*prompt, *option] for option in options])
        return [sum(row[len(prompt) :]) for row in scored]

    def parameters(self) -> list[nn.Parameter]:
        """What training changes: the adapter's parameters, or all of the network's."""
        return [p for _, p in self._own()]

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what `parameters` lists, by name."""
        return {name: p.detach().clone() for name, p in self._own()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put a snapshot back.

        Raises:
            UserError: it belongs to a network of another shape, or to another adapter.
        """
        own = dict(self._own())
        wrong = sorted(n for n in own.keys() ^ state.keys()) or [n for n in own if own[n].shape != state[n].shape]
        if wrong:
            raise UserError(
                f"{self.name}: these weights are of another model; {len(wrong)} parameters differ, {wrong[0]!r} first",
                "load them into the model and the adapter that they were trained for",
            )
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(state[name])

    def follow(self, other: "ModelPolicy", share: float = 1.0) -> None:
        """Move this policy's weights `share` of the way to another's: 1 copies, less makes a moving average."""
        theirs = dict(other._own())
        with torch.no_grad():
            for (_, mine), (_, new) in zip(self._own(), theirs.items(), strict=True):
                mine.lerp_(new.to(mine), share)

    def clone(self, name: str, *, trainable: bool = False) -> "ModelPolicy":
        """A copy with weights of its own: of the whole network, so mind the memory; adapters are cheaper."""
        import copy

        twin = ModelPolicy(
            name,
            copy.deepcopy(self.network),
            self.tokens,
            adapter=self.adapter,
            trainable=trainable,
            device=self.device,
        )
        twin.version = self.version
        return twin

    def _own(self) -> list[tuple[str, nn.Parameter]]:
        if self.adapter:
            return adapters.parameters(self.network, self.adapter)
        return [(n, p) for n, p in self.network.named_parameters() if not adapters.is_adapter(n)]

    def _select(self) -> None:
        adapters.select(self.network, self.adapter)

    def _logp(
        self, hidden: Tensor, ids: Tensor, where: Tensor, temperature: Tensor, *, entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities (and entropies) of the tokens at `where`, each from the state before it."""
        before = where[:, 1:]
        states, targets = hidden[:, :-1][before], ids[:, 1:][before]
        heat = temperature.expand_as(before)[before][:, None]
        size = max(1, CHUNK // max(1, self.network.logits(states[:1]).shape[-1])) if len(states) else 1
        found: list[Any] = []
        for i in range(0, len(states), size):
            piece = states[i : i + size], targets[i : i + size], heat[i : i + size]
            again = len(states) > size and torch.is_grad_enabled()
            found.append(checkpoint(self._chances, *piece, use_reentrant=False) if again else self._chances(*piece))
        out = hidden.new_zeros(ids.shape, dtype=torch.float32)
        if not found:
            return out + hidden.sum() * 0.0, out if entropy else None
        whole = torch.zeros_like(where)
        whole[:, 1:] = before
        logp = out.masked_scatter(whole, torch.cat([f[0] for f in found]))
        return logp, out.masked_scatter(whole, torch.cat([f[1] for f in found])) if entropy else None

    def _chances(self, states: Tensor, targets: Tensor, heat: Tensor) -> tuple[Tensor, Tensor]:
        chances = torch.log_softmax(self.network.logits(states).float() / heat, -1)
        return chances.gather(1, targets[:, None])[:, 0], -(chances.exp() * chances).sum(-1)
