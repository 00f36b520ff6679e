"""Loss terms. Each reads streams, multiplies by its weight stream, and divides by its own count of tokens.

A term that finds no weights is zero, so one recipe can hold terms that only some samples feed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from prowess.train.packing import Forward, Packed, listed
from prowess.train.parts import Term
from prowess.train.samples import Context

Schedule = float | Callable[[Context], float]
"""A number, or one that depends on how far training has come."""

Aggregate = Literal["token", "sequence", "length"]
"""How tokens are averaged: over all tokens of the update (DAPO); within each sequence, then over sequences (GRPO); or
summed and divided by sequences times the longest of them, so that no length is favoured (Dr.GRPO)."""

NOTHING: frozenset[str] = frozenset()


def at(value: Schedule, ctx: Context) -> float:
    """The schedule's present value."""
    return value(ctx) if callable(value) else value


def shares(weight: Tensor, batch: Packed, name: str, by: Aggregate = "token") -> Tensor:
    """What each token counts in the mean over the whole update; sums to the mean weight over all its parts."""
    if by == "token":
        return weight / max(1, batch.whole.tokens.get(name, 0))
    if by == "sequence":
        counted = (weight != 0).sum(1, keepdim=True).clamp(min=1)
        return weight / counted / batch.whole.rows
    return weight / (max(1, batch.whole.longest) * batch.whole.rows)


@dataclass(frozen=True, slots=True)
class PolicyGradient:
    """The clipped policy gradient: -min(ratio * adv, clip(ratio, 1 - low, 1 + high) * adv), ratio = new / old
    probability (PPO, 1707.06347; asymmetric bounds as in DAPO, 2503.14476).

    At the first update after sampling every ratio is 1, and the gradient is REINFORCE's.
    """

    low: float = 0.2
    high: float = 0.28
    level: Literal["token", "sequence"] = "token"
    """`sequence`: one ratio for each row, the geometric mean of its tokens' (GSPO, 2507.18071)."""
    aggregate: Aggregate = "token"
    weight: str = "w_rl"
    scale: Schedule = 1.0
    needs: frozenset[str] = NOTHING

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        weight, adv = batch.stream(self.weight), batch.stream("adv")
        moved = forward.logp - batch.logp
        if self.level == "sequence":
            here = (weight != 0).float()
            mean = (moved * here).sum(1, keepdim=True) / here.sum(1, keepdim=True).clamp(min=1)
            moved = mean.expand_as(moved)
        ratio = torch.where(weight != 0, moved, 0.0).exp()
        high = self.high + batch.stream("wider")
        clipped = torch.minimum(torch.clamp(ratio, min=1 - self.low), 1 + high)
        gain = torch.minimum(ratio * adv, clipped * adv)
        share = at(self.scale, ctx) * shares(weight, batch, self.weight, self.aggregate)
        each = shares((weight != 0).float(), batch, self.weight)
        beyond = ((ratio * adv > clipped * adv) & (weight != 0)).float()
        named = "" if self.weight == "w_rl" else f"{self.weight}/"  # two such terms may stand beside each other
        return Term(
            -(gain * share).sum(),
            {
                f"{named}clipped": (beyond * each).sum().detach(),
                f"{named}drift": ((ratio - 1).abs() * each).sum().detach(),
            },
        )


@dataclass(frozen=True, slots=True)
class CovarianceClip:
    """A policy gradient that leaves out a random share of the tokens whose covariance of advantage and log-probability
    lies between bounds: those that burn entropy fastest (Clip-Cov, 2505.22617; SPEAR, 2509.22601).
    """

    inner: PolicyGradient = PolicyGradient()
    share: float = 0.02
    low: float = 2.0
    high: float = 60.0
    needs: frozenset[str] = NOTHING

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        name = self.inner.weight
        weight = batch.stream(name)
        here = weight != 0
        logp, adv = forward.logp.detach(), batch.stream("adv")
        if here.any():
            covariance = (adv - adv[here].mean()) * (logp - logp[here].mean())
            risky = here & (covariance >= self.low) & (covariance <= self.high)
            seed = torch.Generator().manual_seed(ctx.seed())
            chance = torch.rand(weight.shape, generator=seed).to(weight.device)
            most = self.share * here.sum() / risky.sum().clamp(min=1)
            weight = torch.where(risky & (chance < most), 0.0, weight)
        batch = replace(batch, streams={**batch.streams, name: weight})
        return self.inner(forward, batch, ctx)


@dataclass(frozen=True, slots=True)
class KL:
    """Keeps near a teacher: k3 = exp(d) - 1 - d, d = teacher's - own log-probability; never negative.

    Reads `ref_logp` and its weight `w_kl`, which a teacher writes.
    """

    beta: Schedule
    needs: frozenset[str] = NOTHING

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        weight = batch.stream("w_kl")
        gap = torch.where(weight != 0, batch.stream("ref_logp") - forward.logp, 0.0)
        distance = ((gap.exp() - 1 - gap) * shares(weight, batch, "w_kl")).sum()
        return Term(at(self.beta, ctx) * distance, {"kl": distance.detach()})


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Imitates tokens: -log-probability, weighted by `w_ce`. Supervised warm starts, rejection fine-tuning, and
    predicting what the environment says are all this term with other weights."""

    scale: Schedule = 1.0
    needs: frozenset[str] = NOTHING

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        loss = -(forward.logp * shares(batch.stream("w_ce"), batch, "w_ce")).sum()
        return Term(at(self.scale, ctx) * loss, {"ce": loss.detach()})


@dataclass(frozen=True, slots=True)
class Distill:
    """Learns on its own tokens from itself with more in the prompt (Skill-SD, 2604.10674):
    ratio * (exp(-l) - 1 + l), l = student's - teacher's log-probability, ratio = new / old probability.

    Reads `ref_logp` and `w_kl`, as `KL` does; unlike it, corrects for tokens that an older self sampled.
    """

    scale: Schedule = 0.001
    needs: frozenset[str] = NOTHING

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        weight = batch.stream("w_kl")
        here = weight != 0
        gap = torch.where(here, forward.logp - batch.stream("ref_logp"), 0.0)
        ratio = torch.where(here, forward.logp - batch.logp, 0.0).exp()
        loss = (ratio * ((-gap).exp() - 1 + gap) * shares(weight, batch, "w_kl")).sum()
        return Term(at(self.scale, ctx) * loss, {"distill": loss.detach()})


@dataclass(frozen=True, slots=True)
class Entropy:
    """Adds `-scale` times the mean entropy of the sampled tokens: a positive scale explores, a negative one narrows."""

    scale: Schedule
    role: str = ""
    """Only tokens of this role; all roles for an empty one."""
    needs: frozenset[str] = frozenset({"entropy"})

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        if forward.entropy is None:
            raise ValueError("the forward pass has no entropy")
        rows = torch.tensor([[float(not self.role or s.role == self.role)] for s in batch.samples])
        weight = (batch.stream("w_rl") != 0).float() * rows.to(batch.ids.device)
        mean = (forward.entropy * shares(weight, batch, "w_rl")).sum()
        return Term(-at(self.scale, ctx) * mean, {"entropy": mean.detach()})


@dataclass(frozen=True, slots=True)
class Triplet:
    """Pulls the last hidden state of a row to that of its like, pushes it from those of its opposites, by a margin in
    cosine distance (Tailored Learning, 2310.13332).

    Rows of one `anchor` belong together; their stream `w_triplet` says, on the last token: 1 anchor, 2 like,
    -1 opposite.
    Rows of one anchor must be in one batch: leave `Optim.tokens` large enough.
    """

    scale: Schedule = 0.5
    margin: float = 1.0
    needs: frozenset[str] = frozenset({"hidden"})

    def __call__(self, forward: Forward, batch: Packed, ctx: Context) -> Term:
        if forward.hidden is None:
            raise ValueError("the forward pass has no hidden states")
        last = batch.lengths - 1
        rows = torch.arange(len(batch.samples), device=last.device)
        states = torch.nn.functional.normalize(forward.hidden[rows, last].float(), dim=-1)
        kinds: list[float] = listed(batch.stream("w_triplet")[rows, last])
        found: dict[str, dict[float, list[int]]] = {}
        for i, (sample, kind) in enumerate(zip(batch.samples, kinds, strict=True)):
            if kind:
                found.setdefault(sample.anchor, {}).setdefault(kind, []).append(i)
        total = states.sum() * 0.0
        triplets = 0
        for of in found.values():
            for anchor in of.get(1.0, []):
                for like in of.get(2.0, []):
                    for other in of.get(-1.0, []):
                        near, far = 1 - states[anchor] @ states[like], 1 - states[anchor] @ states[other]
                        total = total + (near - far + self.margin).clamp(min=0)
                        triplets += 1
        loss = total / max(1, triplets) * (len(batch.samples) / batch.whole.rows)
        return Term(at(self.scale, ctx) * loss, {"triplet": loss.detach()})


def info_nce(scores: Tensor, positive: Tensor, temperature: float = 0.05) -> Tensor:
    """Multi-positive InfoNCE (Memento-Skills, 2603.18743): -log of the share that positives have of the softmax.

    Args:
        scores: (queries, candidates) similarities; -inf leaves a candidate out.
        positive: same shape, True where the candidate helped. Rows without a positive count nothing.
    """
    scaled = scores / temperature
    kept = positive.any(1)
    good = torch.logsumexp(scaled.masked_fill(~positive, -torch.inf)[kept], 1)
    return (torch.logsumexp(scaled[kept], 1) - good).mean() if bool(kept.any()) else scores.sum() * 0.0
