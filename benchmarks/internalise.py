"""Skills into weights, and off the shelf: which skills leave a library after training, and whether they should.

    python benchmarks/internalise.py                    # three seeds; about ten minutes on one core
    python benchmarks/internalise.py --seeds 1 --steps 20    # does it run?

A library of six skills, each the hidden rule of one family (`prowess.train.mechanisms.rules`). A tiny decoder that can
follow a rule it is shown, and knows none, is trained by SKILL0 on the tasks of four families; of the other two it sees
nothing. Then every skill is asked the three questions of `prowess.train.internalise`, on 60 gate tasks each. Printed:
success on held-out tasks with and without the skills, before and after, for trained and untrained families, and which
skills left. No skill of an untrained family should.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import torch

from prowess.cli.progress import Waiting
from prowess.core.skill import Snapshot
from prowess.measure.gates import accepted
from prowess.train.internalise import METHOD, Shelf, Sizes, internalised, skill0_study
from prowess.train.mechanisms.rules import Rules
from prowess.train.mechanisms.suite import BareAgent, ByFamily, RulesSuite
from prowess.train.policies.load import tiny
from prowess.train.study import Phase, machine, run_study, trained
from prowess.train.warm import imitation
from prowess.trajectories.runstore import RunStore

TRAINED = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/internalise"))
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    print(f"{machine()}; {o.steps} steps; success on 40 held-out tasks of each family\n")
    print("| seed | families | untrained, with | untrained, without | trained, with | trained, without | skills gone |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for seed in range(o.seeds):
        world = Rules(seed)
        suite = RulesSuite(world)
        library = Snapshot.of([suite.human_skill(family) for family in suite.families])
        whole = Shelf(library, suite, suite.families, ByFamily(), BareAgent, longest=4)
        on = replace(whole, families=suite.families[:TRAINED])
        study = skill0_study(
            on,
            lambda s: tiny(width=64, layers=2, context=32, seed=s),
            Sizes(steps=o.steps, tasks=100, prompts=24, lr=1e-3, audited=16, measured=20),
            lambda s, w=world: Phase(imitation(lambda n, k: w.warm_start(n, seed=k)), 600),
        )
        folder = o.out / str(seed)
        with Waiting() as waiting:
            run_study(study, folder, seeds=[seed], arms=[METHOD], told=waiting.at)
        before, policies = trained(study, METHOD, seed, folder)
        after, store = policies["actor"], RunStore(folder / "trials.db")
        benches = [whole.bench(p, "tiny", store) for p in (after, before)]
        tasks = whole.tasks("gate", 60)
        gone: dict[str, tuple[str, ...]] = {}
        for name in suite.families:
            ask = partial(internalised, whole, name, "", *benches, tasks)
            gone[name] = () if not accepted(verdicts := anyio.run(ask)[1]) else tuple(v.note for v in verdicts)
        for kind, families in (("trained on", suite.families[:TRAINED]), ("not seen", suite.families[TRAINED:])):
            part = replace(whole, families=families)
            held = part.tasks("test", 40)
            rates = [
                part.success(held, {"actor": policy}, part.skills if shown else {})
                for policy in (before, after)
                for shown in (True, False)
            ]
            left = f"{sum(bool(gone[f]) for f in families)} of {len(families)}"
            print(f"| {seed} | {kind} | " + " | ".join(f"{r:.2f}" for r in rates) + f" | {left} |", flush=True)


if __name__ == "__main__":
    main()
