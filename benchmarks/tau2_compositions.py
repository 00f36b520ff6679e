"""Do skills learned from single sub-issues solve compositions of them? tau2's telecom desk, prowess's own loop, `sdg`.

    python benchmarks/tau2_compositions.py [--seeds 3] [--each 40] [--evidence 4] [--wrong 0.3] [--out FOLDER]

No language model takes part, so that only the loop, the recipe and the world are in question.

*Learning* is `prowess.evolve.loop.evolve` with the recipe `sdg` as it is, on tasks of one sub-issue each. What the
recipe asks a model, which sub-goal a task has and which actions may lead there, is answered by the oracle of that very
task: what its right actions made true, and a few words that tell its state from all other states that the oracle has
shown. For a share of the questions (`--wrong`) it names the actions of another sub-issue instead. It is never asked
about a composition, and would know no answer.

*Acting* is the same in every arm: the agent looks at everything (13 tools that only look), does what those skills say
whose quoted words it sees, fills in ids that it looked up itself, looks again, and stops when nothing is left to do. It
knows no sub-issue and no action of its own, so that without skills it does nothing. It sees texts only: no facts of the
world, no right actions.

Arms: `none`; `learned`, all skills; `one missing`, all but the one learned from a sub-issue of the composition, which
is drawn; `others only`, the skills of the sub-issues that it does not have; `unverified`, what the recipe's own
ablation learned, which believes the oracle. Every seed has customers and compositions of its own.
"""

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any, Final

import anyio

from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.playing import Act, run_episode
from prowess.core.evidence import Trial
from prowess.core.model import Request
from prowess.core.patch import CreateSkill
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.evolve.goals import Goal, facts_of, parameters, told
from prowess.evolve.loop import evolve
from prowess.evolve.method import Setup
from prowess.evolve.protocols import Context
from prowess.evolve.recipes import build
from prowess.evolve.run import machine
from prowess.measure.compare import compare
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.suites.worlds.engine import Scene
from prowess.suites.worlds.suite import Episode, WorldSuite, read_actions, steps_of
from prowess.suites.worlds.tau2 import COMPLAINTS, SUB_ISSUES, sub_issues
from prowess.trajectories.runstore import RunStore

ARMS: Final = ("none", "learned", "one missing", "others only", "unverified")
CHECKS: Final = (
    *("check_network_status", "check_status_bar", "check_sim_status", "check_network_mode_preference"),
    *("check_data_restriction_status", "check_apn_settings", "check_wifi_calling_status", "check_vpn_status"),
    'check_app_permissions {"app_name": "messaging"}',
)
PASSES: Final = 4
"""How often the agent looks at most."""
CLEAREST: Final = 3
"""Words that it may take to tell a state from all others."""


# --- looking: what both the demonstrations and the agent do


@dataclass(frozen=True)
class Sight:
    """All that there is to be seen, line by line, and the ids behind it."""

    items: frozenset[str]
    ids: dict[str, str]


Looking = Generator[str, str, Any]
"""Gives actions, is given what came of them, and returns what it was made for."""


def look(ticket: str) -> Generator[str, str, Sight]:
    """Look at everything: the customer's record, its line and its bills, and the phone."""
    phone = re.search(r"\d{3}-\d{3}-\d{4}", ticket)
    assert phone is not None
    items = {part.strip() for part in re.split(r"[.,\n] ?", ticket)}
    customer = json.loads((yield f'get_customer_by_phone {{"phone_number": "{phone[0]}"}}'))
    ids = {"customer_id": str(customer["customer_id"])}
    for line_id in customer["line_ids"]:
        line = json.loads((yield f'get_details_by_id {{"id": "{line_id}"}}'))
        if line["phone_number"] == phone[0]:
            ids["line_id"] = line_id
            items |= {f"{name}: {value}" for name, value in line.items()}
            break
    for bill in json.loads((yield f'get_bills_for_customer {{"customer_id": "{ids["customer_id"]}"}}')):
        items.add(f"bill {bill['status']}")
        if bill["status"] == "Overdue":
            ids["bill_id"] = bill["bill_id"]
    for check in CHECKS:
        said = yield check
        items |= {part.strip() for part in re.split(r"[|\n]", said)}
    return Sight(frozenset(item for item in items if item and not set(item.split()) & set(ids.values())), ids)


# --- the oracle: right actions of single sub-issues, and what they show


@dataclass(frozen=True)
class Demonstration:
    """One sub-issue of one customer, mended by its right actions."""

    family: str
    shown: str
    """The facts at its start, as the recipe shows them to a model."""
    before: Sight
    after: Sight
    actions: tuple[str, ...]
    made_true: tuple[str, ...]


async def driven(looking: Generator[str, str, Sight], episode: Episode) -> Sight:
    action = next(looking)
    while True:
        scene = await episode.step(action)
        try:
            action = looking.send(scene.text)
        except StopIteration as end:
            return end.value


async def demonstrate(suite: WorldSuite, task: Task) -> Demonstration:
    outputs = await anyio.to_thread.run_sync(suite.oracle, task)
    actions = read_actions(outputs or (), steps_of(task))
    assert actions
    async with suite.episode(task) as episode:
        ticket = (await episode.reset()).goal
        facts = await facts_of(episode)
        before = await driven(look(ticket), episode)
        for action in actions:
            await episode.step(action)
        made_true = tuple(sorted(await facts_of(episode) - facts))
        after = before if episode.over else await driven(look(ticket), episode)
    return Demonstration(task.family, f"{ticket}\n{told(facts)}", before, after, actions, made_true)


def clearest(family: str, shown: Sequence[Demonstration]) -> tuple[str, ...]:
    """The fewest words that only the family's own start shows.

    Of equally few, those that the right actions make go away come first, then those that speak of what they act on.
    """
    own = [one for one in shown if one.family == family]
    always = frozenset.intersection(*(one.before.items for one in own))
    gone = always - frozenset.union(*(one.after.items for one in own))
    others = [one.before.items for one in shown if one.family != family]
    others += [one.after.items for one in shown if one.after is not one.before]
    spoken = _words(" ".join(own[0].actions))
    candidates = sorted(always, key=lambda item: (item not in gone, -len(_words(item) & spoken), len(item), item))
    for count in range(1, CLEAREST + 1):
        for words in combinations(candidates, count):
            if not any(set(words) <= items for items in others):
                return words
    raise SystemExit(f"{family} cannot be told from all others")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


class Oracle:
    """Answers the recipe's one question, for the tasks that it has demonstrations of."""

    def __init__(self, shown: Sequence[Demonstration], wrong: float, seed: int) -> None:
        self._shown = shown
        self._words = {family: clearest(family, shown) for family in SUB_ISSUES}
        self._wrong, self._seed = wrong, seed

    def __call__(self, request: Request) -> str:
        question = request.messages[-1].content
        (one,) = (d for d in self._shown if all(part in question for part in d.shown.split("\n")))
        draw = random.Random(f"{self._seed} {one.shown}")
        actions = one.actions
        if draw.random() < self._wrong:
            actions = draw.choice([d.actions for d in self._shown if d.family != one.family])
        goal = self.goal(one)
        return json.dumps({"subgoals": [{"goal": goal.text, "holds": goal.holds, "actions": actions}]})

    def goal(self, one: Demonstration) -> Goal:
        named = {name: id for name, id in one.before.ids.items() if any(id in action for action in one.actions)}
        words = " and ".join(f"`{word}`" for word in self._words[one.family])
        whose = " of ".join(f"{name.removesuffix('_id')} {id}" for name, id in reversed(named.items()))
        text = f"see {words}: mend {whose or 'the phone'}"
        own = f"customer_id({named['line_id']},{named['customer_id']})" if len(named) > 1 else ""
        holds = [fact for fact in one.made_true if not parameters(Goal(text=text, holds=(fact,)))]
        holds = [fact for fact in one.made_true if any(id in fact for id in named.values())] + holds
        goal = Goal(text=text, holds=tuple(dict.fromkeys([*([own] if own else []), *holds]))[:4])
        assert set(parameters(goal)) == set(named.values()), (goal, named)
        return goal


# --- the agent


@dataclass(frozen=True)
class Rule:
    """A skill, as far as the agent reads it."""

    words: tuple[str, ...]
    actions: tuple[str, ...]

    @classmethod
    def of(cls, skill: Skill) -> "Rule":
        title, _, rest = skill.body.partition("\n")
        steps = re.findall(r"^\d+\. (.+)$", rest.partition("## ")[0], re.MULTILINE)
        return cls(tuple(re.findall(r"`([^`]+)`", title)), tuple(steps))

    def filled_in(self, ids: dict[str, str]) -> Iterator[str]:
        """The actions, with what was looked up in place of letters."""
        for action in self.actions:
            name, _, rest = action.partition(" ")
            arguments = json.loads(rest or "{}")
            known = {key: ids.get(key, value) if re.fullmatch("[A-G]", str(value)) else value
                     for key, value in arguments.items()}  # fmt: skip
            yield f"{name} {json.dumps(known)}" if known else name


def follow(rules: Sequence[Rule], ticket: str) -> Looking:
    """Look, do what the skills say of what is seen, look again."""
    for _ in range(PASSES):
        sight = yield from look(ticket)
        fitting = [rule for rule in rules if rule.words and set(rule.words) <= sight.items]
        if not fitting:
            break
        todo = chain.from_iterable(rule.filled_in(sight.ids) for rule in fitting)
        for action in todo:  # noqa: UP028 - what comes back is sent here, and a chain takes nothing
            yield action


class Following:
    """The player of one episode."""

    system = ""

    def __init__(self, view: View) -> None:
        self.loaded = self.used = tuple(skill.name for skill in view.skills)
        self._rules = tuple(Rule.of(skill) for skill in view.skills)
        self._plan: Looking | None = None

    async def act(self, scene: Scene, episode: Episode) -> Act | None:
        if not self._rules:
            return None  # it would look, and find no skill that fits
        try:
            if self._plan is None:
                self._plan = follow(self._rules, scene.goal)
                return Act(next(self._plan))
            return Act(self._plan.send(scene.text))
        except StopIteration:
            return None


@dataclass(frozen=True)
class Follower:
    suite: WorldSuite
    name: str = "follower/1"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        return await run_episode(self.name, "", self.suite, Following(view), task, view, seed, steps_of(task))


# --- one seed


@dataclass(frozen=True)
class Learned:
    library: Snapshot
    family_of: dict[str, str]
    """The sub-issue that a skill was learned from."""
    asked: int
    misled: int


async def learn(suite: WorldSuite, recipe: str, out: Path, args: argparse.Namespace, seed: int) -> Learned:
    setup = Setup(suite, find_sandbox(), SUB_ISSUES, evidence=args.evidence, seed=seed)
    shown = [await demonstrate(suite, task) for task in setup.all_tasks("evidence", args.evidence)]
    oracle = Oracle(shown, args.wrong, seed)
    store = RunStore(out / f"{recipe}-{seed}.db")
    model = ScriptedModel(oracle, f"oracle/1 wrong={args.wrong} seed={seed}")
    context = Context(suite, Follower(suite), model, store, seed, concurrency=args.concurrency)
    evolved = await evolve(build(recipe, setup), Snapshot(), context)
    kept = [decision for decision in evolved.decisions if decision.accepted]
    family_of = {
        operation.skill.name: decision.lessons[0].family or ""
        for decision in kept
        for operation in decision.patch.operations
        if isinstance(operation, CreateSkill)
    }
    for decision in evolved.decisions:
        if not decision.accepted:
            print("refused:", decision.patch.reason, [v.note for v in decision.verdicts], file=sys.stderr)
    right = {oracle.goal(one).text: list(one.actions) for one in shown}
    stored = [json.loads(store.get("subgoals", key) or b"") for key in store.keys("subgoals")]
    answers = [answer["subgoals"][0] for answer in stored]
    misled = sum(answer["actions"] != right[answer["goal"]] for answer in answers)
    return Learned(evolved.snapshot, family_of, len(answers), misled)


def compositions(suite: WorldSuite, each: int, seeds: int, seed: int) -> list[Task]:
    """Of every complaint as many as `each` that no other seed has."""
    found: list[Task] = []
    for family in COMPLAINTS:
        pool = [*suite.tasks(family, "test", 3_000), *suite.tasks(family, "gate", 3_000)]
        random.Random(0).shuffle(pool)
        size = min(each, len(pool) // seeds)
        found += pool[seed * size : (seed + 1) * size]
    return found


def parts(task: Task) -> tuple[str, ...]:
    start = task.meta["start"]
    assert isinstance(start, dict)
    return sub_issues(str(start["task"]))


def shows(library: Snapshot, keep: Callable[[Task, str], bool]) -> Callable[[Task], View]:
    """The skills that are kept for a task."""

    def view(task: Task) -> View:
        skills = tuple(skill for skill in library.skills if keep(task, skill.name))
        return View(snapshot=library.digest, skills=skills)

    return view


def arms(learned: Learned, unverified: Learned, seed: int) -> list[Arm]:
    of = learned.family_of

    def missing(task: Task) -> str:
        return random.Random(f"{seed} {task.id}").choice(parts(task))

    return [
        Arm("none", shows(learned.library, lambda task, name: False)),
        Arm("learned", shows(learned.library, lambda task, name: True)),
        Arm("one missing", shows(learned.library, lambda task, name: of[name] != missing(task))),
        Arm("others only", shows(learned.library, lambda task, name: of[name] not in parts(task))),
        Arm("unverified", shows(unverified.library, lambda task, name: True)),
    ]


@dataclass
class Found:
    """What all seeds found."""

    trials: list[Trial]
    parts: dict[str, tuple[str, ...]]
    """Sub-issues of each composition."""
    lacking: dict[int, set[str]]
    """Sub-issues for which a seed learned no skill."""
    notes: list[str]


async def measure(args: argparse.Namespace, out: Path) -> Found:
    suite = open_suite("tau2")
    assert isinstance(suite, WorldSuite)
    found = Found([], {}, {}, [])
    try:
        for seed in range(args.seeds):
            learned = await learn(suite, "sdg", out, args, seed)
            unverified = await learn(suite, "sdg.unverified", out, args, seed)
            tasks = compositions(suite, args.each, args.seeds, seed)
            found.parts |= {task.id: parts(task) for task in tasks}
            bench = Bench(Follower(suite), suite, RunStore(out / f"trials-{seed}.db"), concurrency=args.concurrency)
            found.trials += await run_trials(tasks, arms(learned, unverified, seed), (seed,), bench)
            found.lacking[seed] = lacking = set(SUB_ISSUES) - set(learned.family_of.values())
            found.notes.append(
                f"seed {seed}: {learned.asked} questions, {learned.misled} answered wrongly; {len(learned.family_of)} "
                f"skills of {len(SUB_ISSUES)} sub-issues, unverified {len(unverified.family_of)}; no skill for "
                f"{', '.join(sorted(lacking)) or 'none'}; {len(tasks)} compositions"
            )
            print(found.notes[-1], file=sys.stderr)
    finally:
        suite.close()
    return found


# --- the tables


def report(found: Found) -> None:
    trials = found.trials
    print("| arm | solved | against `none` | against `learned` |\n|---|---|---|---|")
    for arm in ARMS:
        own = [trial for trial in trials if trial.arm == arm]
        cells = [_against(trials, base, arm) for base in ("none", "learned")]
        print(f"| {arm} | {sum(bool(t.passed) for t in own)} of {len(own)} | {' | '.join(cells)} |")
    print("\n| sub-issues | compositions | " + " | ".join(ARMS) + " |")
    print("|---" * (len(ARMS) + 2) + "|")
    passed = Counter((len(found.parts[t.task_id]), t.arm) for t in trials if t.passed)
    count = Counter(len(found.parts[t.task_id]) for t in trials if t.arm == "none")
    for n in sorted(count):
        print(f"| {n} | {count[n]} | " + " | ".join(str(passed[n, arm]) for arm in ARMS) + " |")
    failed = [trial for trial in trials if trial.arm == "learned" and not trial.passed]
    because = sum(bool(found.lacking[t.seed] & set(found.parts[t.task_id])) for t in failed)
    print(f"\nOf {len(failed)} that `learned` did not solve, {because} have a sub-issue for which there was no skill.")
    print("\n".join(found.notes))
    print(f"{sum(t.passed is None for t in trials)} trials missing; {machine()}")


def _against(trials: Sequence[Trial], base: str, arm: str) -> str:
    if base == arm:
        return ""
    e = compare(trials, base, arm)
    return f"{e.effect:+.2f} ({e.low:+.2f} to {e.high:+.2f}), p = {e.p:.2g}, n = {e.n}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--each", type=int, default=40, help="compositions of each complaint, for each seed")
    parser.add_argument("--evidence", type=int, default=4, help="customers of each sub-issue")
    parser.add_argument("--wrong", type=float, default=0.3, help="share of questions that the oracle answers wrongly")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keeps all runs, so that the same call resumes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = args.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        report(anyio.run(measure, args, out))


if __name__ == "__main__":
    main()
