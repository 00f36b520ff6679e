"""`prowess train --library`: what is trained on, and what leaves the library afterwards."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prowess.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prowess.cli.screen import Screen
    from prowess.train.internalise import Shelf
    from prowess.train.policies.model import ModelPolicy
    from prowess.train.study import Study

RECIPE, RULES, TINY = "skill0", "rules", "tiny"
PROOF_TASKS = 60
"""Gate tasks of each family; a loss of 10 points is ruled out by 38 pairs that do not differ."""
LOOKED = 4
"""Tasks of a family that are looked at to see whether it is shown any skill."""
CONTEXT = 8192


def open_shelf(recipe: str, library: Path, suite: str, families: "Sequence[str] | None", policy: str) -> "Shelf":
    """The library with the suite whose tasks show its skills.

    Raises:
        UserError: the recipe does not train on libraries, there is no such library, suite or family, or no task shows
            any skill.
    """
    from prowess.cli.options import open_library
    from prowess.cli.trials import chosen_families
    from prowess.train.internalise import Shelf

    if recipe != RECIPE:
        raise UserError(f"{recipe} does not train on a library", f"`prowess train {RECIPE} --library` does")
    snapshot = open_library(library).snapshot()
    if suite == RULES:
        from prowess.train.mechanisms.suite import BareAgent, ByFamily, RulesSuite

        rules = RulesSuite()
        chosen = chosen_families(rules, families)
        shelf = Shelf(snapshot, rules, tuple(chosen), ByFamily(), BareAgent, longest=4 if policy == TINY else 16)
    else:
        from prowess.evolve.providers import BestMatches
        from prowess.evolve.run import agent_of
        from prowess.sandbox import find_sandbox
        from prowess.suites import open_suite

        opened, sandbox = open_suite(suite), find_sandbox()
        chosen = chosen_families(opened, families)
        shelf = Shelf(snapshot, opened, tuple(chosen), BestMatches(), lambda model: agent_of(model, sandbox, opened))
    shown = tuple(
        f
        for f in chosen
        if any(shelf.provider.view(t, snapshot).skills for t in shelf.suite.tasks(f, "evidence", LOOKED))
    )
    if not shown:
        raise UserError(
            f"no task of {suite} shows a skill of {library}", "name the suite that its skills are for with --suite"
        )
    return replace(shelf, families=shown)


def study_of(shelf: "Shelf", policy: str, tasks: int) -> "Study":
    """SKILL0 on the shelf, with the policy that was asked for: opened when it is needed, and once."""
    from prowess.train.internalise import Sizes, skill0_study

    if policy != TINY:
        opened = cache(_adapter)
        return skill0_study(shelf, lambda seed: opened(policy), Sizes(tasks=tasks))
    from prowess.train.mechanisms.suite import RulesSuite
    from prowess.train.policies.load import tiny
    from prowess.train.study import Phase
    from prowess.train.warm import imitation

    sizes, suite = Sizes(tasks=tasks, lr=1e-3), shelf.suite
    if not isinstance(suite, RulesSuite):
        return skill0_study(shelf, lambda seed: tiny(context=CONTEXT, seed=seed), sizes)
    return skill0_study(
        shelf, lambda seed: tiny(context=64, seed=seed), sizes,
        lambda seed: Phase(imitation(lambda n, s: suite.world.warm_start(n, seed=s)), 600),
    )  # fmt: skip


def _adapter(source: str) -> "ModelPolicy":
    """A LoRA adapter of a real model: what is trained is small, and the untrained model stays at hand."""
    import torch

    from prowess.train.policies.load import pretrained, with_adapters

    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = pretrained(source, device=device, context=CONTEXT)
    return with_adapters(base.network, base.tokens, ["actor"], device=device)["actor"]


def retired(
    screen: "Screen", shelf: "Shelf", study: "Study", library: Path, folder: Path, policy: str, *, margin: float,
    scale: float, yes: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """Ask of each skill whether it is in the weights now, and settle what becomes of it; the model is saved first."""
    from functools import partial

    import anyio

    from prowess.cli.options import open_library
    from prowess.cli.retire import settle
    from prowess.train.internalise import METHOD, internalised
    from prowess.train.policies.load import save
    from prowess.train.study import trained
    from prowess.trajectories.runstore import RunStore

    before, policies = trained(study, METHOD, 0, folder, scale=scale)
    after, store, opened = policies["actor"], RunStore(folder / "trials.db"), open_library(library)
    if policy != TINY:
        save(after, folder / "policy")
        screen.note(f"the trained model: {folder / 'policy'}")
    done, tasks = list[dict[str, Any]](), shelf.tasks("gate", PROOF_TASKS)
    benches = [shelf.bench(p, policy, store) for p in (after, before)]
    for name in shelf.library.names:
        now = replace(shelf, library=opened.snapshot())  # each proof is against the library as it is then
        if not now.shown(name, tasks):
            continue
        why = f"retires {name}: {policy}, trained by {study.name} in {folder.name}, has learned it"
        patch, verdicts = anyio.run(partial(internalised, now, name, why, *benches, tasks, margin=margin))
        done.append(settle(screen, opened, name, patch, verdicts, yes, "train"))
    return done
