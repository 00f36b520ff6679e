"""The trainer: collect episodes, annotate their tokens, update, observe. It knows no algorithm; recipes do."""

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from prowess.core.errors import UserError
from prowess.train.packing import Whole, pack, parts
from prowess.train.parts import Recipe
from prowess.train.policies.model import ModelPolicy
from prowess.train.samples import Context, Group, Sample, samples_of

ON_CPU, ON_GPU = 2048, 16_384
"""Tokens that go through the network at once, where a recipe does not say."""
Metrics = dict[str, float]
"""Figures of one step, by name."""


class Collected(NamedTuple):
    """What one step has to learn from."""

    samples: dict[str, list[Sample]]
    """For each policy that learns."""
    metrics: Metrics


class Trainer:
    """Trains the policies that a recipe names; several may learn at once, each with an optimiser of its own.

    Args:
        policies: by name, the frozen ones included.
        steps: updates planned; schedules look at it.
        seed: of everything random. Equal seeds give equal runs on one machine.

    Raises:
        UserError: the recipe trains a policy that is not there or cannot learn.
    """

    def __init__(self, policies: Mapping[str, Any], recipe: Recipe, *, steps: int = 1, seed: int = 0) -> None:
        self.policies, self.recipe = policies, recipe
        self.context = Context(random.Random(seed), steps=steps, skills=dict(recipe.skills))
        self._optimisers: dict[str, torch.optim.Optimizer] = {}
        for name in recipe.train:
            policy = policies.get(name)
            if not isinstance(policy, ModelPolicy) or not policy.trainable:
                why = "is not there" if policy is None else "cannot be trained"
                raise UserError(f"recipe {recipe.name!r} trains {name!r}, which {why}", "give it a trainable policy")
            learns = policy.parameters()
            if not any(p.requires_grad for p in learns):
                raise UserError(f"policy {name!r} is frozen: its network carries adapters", "train one of the adapters")
            o = recipe.optim
            self._optimisers[name] = torch.optim.AdamW(
                learns, lr=o.lr, betas=o.betas, weight_decay=o.weight_decay, foreach=True
            )

    def run(self, report: Callable[[int, Metrics], object] = lambda step, metrics: None) -> None:
        """Step until the planned number is reached, from wherever this trainer stands."""
        while self.context.step < self.context.steps:
            metrics = self.step()
            report(self.context.step, metrics)

    def step(self) -> Metrics:
        """One round of collecting and updating.

        Raises:
            UserError: a loss is not finite (the weights are left as they were before that update), or nothing that was
                collected could ever be trained on: no tokens, tokens of other policies, no weights.
        """
        started = time.perf_counter()
        found = self.collect()
        collected, metrics = time.perf_counter(), found.metrics
        for name, own in found.samples.items():
            prefix = f"{name}/" if len(found.samples) > 1 else ""
            metrics |= {prefix + k: v for k, v in self._update(name, own).items()}
        self.finish()
        return metrics | {"collecting": collected - started, "updating": time.perf_counter() - collected}

    def collect(self) -> Collected:
        """The first half of a step: play, judge, annotate. The weights stay as they are.

        Raises:
            UserError: nothing that was collected could ever be trained on.
        """
        recipe, ctx = self.recipe, self.context
        groups, seen = self._collect()
        if groups and recipe.advantage:
            recipe.advantage(groups, ctx)
        if groups and recipe.teacher:
            recipe.teacher(groups, self.policies, ctx)
        if recipe.replay:
            groups = recipe.replay(groups, ctx)
        samples = [s for s in samples_of(groups) if s.policy in recipe.train]
        if groups and (not samples or (recipe.advantage is None and not any(s.trainable for s in samples))):
            raise UserError(
                f"no token of {', '.join(recipe.train)} can be trained on in step {ctx.step + 1} of {recipe.name!r}",
                "name the policies that the rollout samples from, and give the recipe an advantage",
            )
        own = {name: [s for s in samples if s.policy == name and s.trainable] for name in recipe.train}
        return Collected(own, summary(seen) | {"groups": float(len(groups))})

    def finish(self) -> None:
        """The end of a step: it counts, and audits look at what it made of the policies."""
        recipe, ctx = self.recipe, self.context
        ctx.step += 1
        if recipe.audits and ctx.step % recipe.audit_every == 0:
            for audit in recipe.audits:
                audit(self.policies, ctx)

    def _collect(self) -> tuple[list[Group], list[Group]]:
        """Groups that passed all gates, and all that were played. Draws again while too few passed."""
        recipe, ctx = self.recipe, self.context
        admitted, seen = list[Group](), list[Group]()
        for _ in range(recipe.refills + 1):
            tasks = recipe.curriculum.draw(recipe.prompts, ctx)
            groups = recipe.rollout(tasks, self.policies, ctx)
            if recipe.reward:
                recipe.reward(groups, ctx)
            recipe.curriculum.observe(groups, ctx)
            seen += groups
            admitted += [group for group in groups if all(gate(group) for gate in recipe.gates)]
            if len(admitted) >= recipe.prompts:
                break
        if not any(any(s.mask) for s in samples_of(seen)):
            raise UserError(
                f"step {ctx.step + 1} of {recipe.name!r} collected no token of any policy",
                "check that the curriculum draws tasks and that the rollout samples",
            )
        return admitted[: recipe.prompts], seen

    def _update(self, name: str, samples: Sequence[Sample]) -> Metrics:
        """Updates of one policy from one step's samples; none where there are no weights to learn from."""
        if not samples:
            return {"updates": 0.0}
        policy: ModelPolicy = self.policies[name]
        optim, optimiser = self.recipe.optim, self._optimisers[name]
        for group in optimiser.param_groups:
            group["lr"] = optim.lr * min(1.0, (self.context.step + 1) / optim.warmup if optim.warmup else 1.0)
        figures: list[Metrics] = []
        for _ in range(optim.epochs):
            order, size = list(samples), optim.rows or len(samples)
            if size < len(order):
                self.context.rng.shuffle(order)
            for i in range(0, len(order), size):
                figures.append(self._descend(policy, optimiser, order[i : i + size]))
                policy.version += 1
        names = figures[0].keys()
        return {n: statistics.fmean(f[n] for f in figures) for n in names} | {"updates": float(len(figures))}

    def _descend(self, policy: ModelPolicy, optimiser: torch.optim.Optimizer, samples: Sequence[Sample]) -> Metrics:
        """One gradient step on all of `samples`, in as many parts as the memory asks for."""
        recipe = self.recipe
        needs = frozenset[str]().union(*(term.needs for term in recipe.losses))
        whole = Whole.of(samples)
        optimiser.zero_grad(set_to_none=True)
        sums: dict[str, torch.Tensor] = {}
        for part in parts(samples, recipe.optim.tokens or (ON_CPU if policy.device == "cpu" else ON_GPU)):
            batch = pack(part, whole, policy.device)
            forward = policy.forward(batch, needs)
            terms = [term(forward, batch, self.context) for term in recipe.losses]
            loss = torch.stack([term.loss for term in terms]).sum()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            for term in [*terms, None]:
                for key, value in ({"loss": loss.detach()} if term is None else term.figures).items():
                    sums[key] = sums[key] + value if key in sums else value
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), recipe.optim.clip)
        figures = {key: float(value) for key, value in sums.items()} | {"gradient": float(norm)}
        bad = [key for key, value in figures.items() if not math.isfinite(value)]
        if bad:
            optimiser.zero_grad(set_to_none=True)
            raise UserError(
                f"step {self.context.step + 1} of {recipe.name!r}: {', '.join(bad)} of {policy.name!r} is not finite; "
                "the weights are those before this update",
                "lower the learning rate, or go on from the last checkpoint with another seed",
            )
        optimiser.step()
        return figures

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, as plain data and tensors."""
        ctx = self.context
        return {
            "recipe": self.recipe.name,
            "weights": {n: p.snapshot() for n, p in self._models()},
            "versions": {n: p.version for n, p in self._models()},
            "optimisers": {n: o.state_dict() for n, o in self._optimisers.items()},
            "random": ctx.rng.getstate(),
            "step": ctx.step,
            "skills": dict(ctx.skills),
            "parts": {n: part.state_dict() for n, part in self._remembering()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another trainer of the same recipe and policies stood.

        Raises:
            UserError: it was another recipe, or its weights do not fit.
        """
        if state["recipe"] != self.recipe.name:
            raise UserError(
                f"this checkpoint is of {state['recipe']!r}, not of {self.recipe.name!r}", "name another folder"
            )
        for name, policy in self._models():
            if name in state["weights"]:
                policy.restore(state["weights"][name])
                policy.version = state["versions"][name]
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        kind, numbers, rest = state["random"]
        self.context.rng.setstate((kind, tuple(numbers), rest))
        self.context.step = state["step"]
        self.context.skills = dict(state["skills"])
        for name, part in self._remembering():
            part.load_state_dict(state["parts"][name])

    def _models(self) -> list[tuple[str, ModelPolicy]]:
        """Policies with weights of their own: those that learn, and copies that may follow them. Not a shared base."""
        models = [(n, p) for n, p in self.policies.items() if isinstance(p, ModelPolicy)]
        return [(n, p) for n, p in models if any(q.requires_grad for q in p.parameters())]

    def _remembering(self) -> list[tuple[str, Any]]:
        """Parts that keep a state, by their place in the recipe."""
        r = self.recipe
        named: dict[str, Any] = {
            "curriculum": r.curriculum, "rollout": r.rollout, "reward": r.reward, "advantage": r.advantage,
            "teacher": r.teacher, "replay": r.replay,
        } | {f"{kind}{i}": part for kind, of in (("loss", r.losses), ("gate", r.gates), ("audit", r.audits))
             for i, part in enumerate(of)}  # fmt: skip
        return [(n, part) for n, part in named.items() if hasattr(part, "state_dict")]


def summary(groups: Sequence[Group]) -> Metrics:
    """Mean reward, its parts, length and shares, over everything that was played."""
    episodes = [e for group in groups for e in group]
    judged = [e.reward for e in episodes if e.reward is not None]
    found: Metrics = {"episodes": float(len(episodes)), "unjudged": float(len(episodes) - len(judged))}
    if judged:
        found["reward"] = statistics.fmean(judged)
    names = sorted({name for e in episodes for name in e.parts})
    found |= {name: statistics.fmean(e.parts[name] for e in episodes if name in e.parts) for name in names}
    found["tokens"] = float(sum(sum(s.mask) for e in episodes for s in e.samples))
    return found
