"""A library's skills into weights, and the proof that they arrived: the small world of rules, and a tiny policy."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest
from train_parts import actor, context

from prowess.agents.base import Agent
from prowess.core.errors import SandboxError, UserError
from prowess.core.model import Message, Model, Request, Response
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.library import Library
from prowess.library.archive import restore
from prowess.measure.gates import accepted
from prowess.train import study as studies
from prowess.train.agent_runs import passed
from prowess.train.internalise import METHOD, Shelf, Sizes, internalised, skill0_study
from prowess.train.mechanisms.rules import Rules
from prowess.train.mechanisms.suite import BareAgent, ByFamily, RulesSuite
from prowess.train.policies.as_model import PolicyModel, fingerprint
from prowess.train.policies.load import tiny
from prowess.train.study import Phase
from prowess.train.warm import imitation
from prowess.trajectories.runstore import RunStore

WORLD = Rules(0, families=2, rule_letters="stuv")
A, B = "rule-a", "rule-b"


def shelf(world: Rules = WORLD, agent: Callable[[Model], Agent] = BareAgent) -> Shelf:
    suite = RulesSuite(world)
    library = Snapshot.of([suite.human_skill(family) for family in suite.families])
    return Shelf(library, suite, suite.families, ByFamily(), agent, longest=4)


def asked(text: str, **fields: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), **fields)  # type: ignore[arg-type]


# The suite


def test_tasks_of_a_family_are_distinct_and_a_prefix_of_longer_draws() -> None:
    suite = RulesSuite(WORLD)
    gate = suite.tasks(A, "gate", 50)
    assert len({t.prompt for t in gate}) == 50 and {t.family for t in gate} == {A}
    assert [t.prompt for t in suite.tasks(A, "gate", 10, start=20)] == [t.prompt for t in gate[20:30]]
    assert not {t.prompt for t in gate} & {t.prompt for t in suite.tasks(A, "evidence", 100)}


def test_the_skill_of_a_family_is_its_rule() -> None:
    suite = RulesSuite(WORLD)
    [task] = suite.tasks(A, "test", 1)
    right = WORLD.oracle(task)
    assert suite.check(task, (), right).passed and not suite.check(task, (), right[::-1]).passed
    assert suite.human_skill(A).body.strip() == right[0] + right[2]


# Policies as models


def test_requests_are_answered_in_one_batch_and_kept_as_sampled() -> None:
    policy, calls = actor(), list[tuple[int, int]]()
    sample = policy.sample

    def counted(prompts: Sequence[Sequence[int]], *, copies: int = 1, **rest: object) -> object:
        calls.append((len(prompts), copies))
        return sample(prompts, copies=copies, **rest)  # type: ignore[arg-type]

    policy.sample = counted  # type: ignore[method-assign,assignment]
    model = PolicyModel(policy, "policy:test", longest=5, seed=lambda: 1, temperature=1.0, together=4)
    seats = [model.seat(i) for i in range(4)]
    answers: dict[int, Response] = {}

    async def all_() -> None:
        async def one(i: int) -> None:
            answers[i] = await seats[i].complete(asked("ab"))

        async with anyio.create_task_group() as group:
            for i in reversed(range(4)):
                group.start_soon(one, i)

    anyio.run(all_)
    assert calls == [(4, 1)]
    alone = sample([policy.tokens.prompt("ab")], copies=4, longest=5, temperature=1.0, seed=1)
    assert [seat.said[0].completion for seat in seats] == alone
    assert [answers[i].text for i in range(4)] == [policy.tokens.decode(c.ids) for c in alone]
    assert answers[0].cost.completion_tokens == len(alone[0].ids)


def test_an_answer_ends_at_its_stop_text_and_so_do_its_ids() -> None:
    policy = actor()
    whole = anyio.run(PolicyModel(policy, "m", longest=12).complete, asked("ab"))
    stop = whole.text[3:5]
    model = PolicyModel(policy, "m", longest=12)
    seat = model.seat(0)
    cut = anyio.run(seat.complete, asked("ab", stop=(stop,)))
    [said] = seat.said
    assert cut.text == whole.text[: whole.text.index(stop)] and cut.finish_reason == "stop"
    assert policy.tokens.decode(said.completion.ids) == cut.text + stop
    assert len(said.completion.logp) == len(said.completion.ids)


def test_a_prompt_that_does_not_fit_ends_every_run_of_the_batch_with_the_reason() -> None:
    model = PolicyModel(actor(), "m", longest=5, together=2)
    failed: list[str] = []

    async def one(text: str) -> None:
        try:
            await model.complete(asked(text))
        except UserError as error:
            failed.append(str(error))

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(one, "a" * 100)
            group.start_soon(one, "b")

    anyio.run(both)
    assert len(failed) == 2 and all("exceed its context" in text for text in failed)


def test_equal_weights_have_equal_names() -> None:
    one = actor()
    assert fingerprint(one) == fingerprint(one.clone("other")) != fingerprint(actor(seed=1))


# Rollouts


class Twice:
    """Asks twice; fails from outside on some tasks."""

    def __init__(self, model: Model, fails: str = "") -> None:
        self.bare, self.fails = BareAgent(model), fails
        self.name = self.bare.name

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        run = await self.bare.run(task, view, seed)
        if seed == 0:  # runs of one batch need not be equally long
            run = await self.bare.run(task, view, seed)
        if self.fails and self.fails in task.prompt:
            return run.model_copy(update={"status": "missing", "error": "SandboxError: gone"})
        return run


def test_every_answer_is_a_sample_and_runs_need_not_be_equally_long() -> None:
    on = shelf(agent=Twice)
    tasks = on.tasks("evidence", 2)
    ctx = context(skills={A: "", B: ""})
    groups = replace(on.runs(2), policy="actor")(tasks, {"actor": actor()}, ctx)
    assert [[len(e.samples) for e in group] for group in groups] == [[2, 1]] * 4
    assert [s.position for s in groups[0][0].samples] == [0, 1]
    again = on.runs(2)(tasks, {"actor": actor()}, context(skills={A: "", B: ""}))
    assert [[s.ids for s in e.samples] for g in groups for e in g] == [
        [s.ids for s in e.samples] for g in again for e in g
    ]


def test_only_skills_of_the_context_are_shown() -> None:
    on, policy = shelf(), actor()
    tasks = on.tasks("evidence", 1)
    groups = on.runs(2)(tasks, {"actor": policy}, context(skills={A: ""}))
    read = [[i for i, m in zip(s.ids, s.mask, strict=True) if not m] for s in (g[0].samples[0] for g in groups)]
    prompts = [policy.tokens.decode(ids) for ids in read]
    assert prompts == [f"{WORLD.skill('A')}|{tasks[0].prompt}", tasks[1].prompt]
    assert [g[0].info["offered"] for g in groups] == [[A], []]


def test_a_run_that_failed_from_outside_has_no_reward() -> None:
    on = shelf(agent=lambda model: Twice(model, fails="A?"))
    groups = on.runs(2)(on.tasks("evidence", 1), {"actor": actor()}, context())
    passed(groups, context())
    assert [[e.reward for e in group] for group in groups] == [[None, None], [0.0, 0.0]]


def test_a_judge_that_fails_says_nothing_about_the_run() -> None:
    class Broken(RulesSuite):
        def check(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise SandboxError("gone")

    on = replace(shelf(), suite=Broken(WORLD))
    groups = on.runs(2)(on.tasks("evidence", 1), {"actor": actor()}, context())
    passed(groups, context())
    assert {e.reward for group in groups for e in group} == {None}


# From a library into weights, and off the shelf


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    made = Library.open(tmp_path_factory.mktemp("library"), create=True)
    for skill in shelf().library.skills:
        made.apply(Patch(base=made.snapshot().digest, operations=(CreateSkill(skill=skill),), reason="x"), by="test")
    return made


@pytest.fixture(scope="module")
def whole(library: Library, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, Path]:
    """A study of both skills' library, trained on tasks of family A alone."""
    on = replace(shelf(), library=library.snapshot(), families=(A,))
    folder = tmp_path_factory.mktemp("study")
    studies.run_study(of(on), folder, seeds=[0], arms=[METHOD], looks=2)
    return on, folder


def of(on: Shelf) -> studies.Study:
    return skill0_study(
        on,
        lambda seed: tiny(width=48, layers=2, context=32, seed=seed),
        Sizes(steps=36, tasks=40, audited=4, prompts=16, lr=2e-3, measured=20),
        lambda seed: Phase(imitation(lambda n, s: WORLD.warm_start(n, seed=s), rows=48), 250),
    )


def test_what_was_learned_leaves_with_its_proof_and_comes_back(library: Library, whole: tuple[Shelf, Path]) -> None:
    on, folder = whole
    record = studies.run_study(of(on), folder, seeds=[0], arms=[METHOD], looks=2)
    first, last = record.arms[0].runs[0].points
    assert first.figures["with skills"] > 0.8 and first.figures["without skills"] < 0.3
    assert last.figures["without skills"] > 0.9

    before, policies = studies.trained(of(on), METHOD, 0, folder)
    store, both = RunStore(folder / "trials.db"), replace(on, families=(A, B))
    benches = both.bench(policies["actor"], "tiny", store), both.bench(before, "tiny", store)
    found = {
        name: anyio.run(partial(internalised, both, name, "learned", *benches, both.tasks("gate", 50)))
        for name in (A, B)
    }
    patch, verdicts = found[A]
    assert [v.gate for v in verdicts] == ["unneeded", "learned", "kept"] and accepted(verdicts)
    assert verdicts[1].evidence is not None and verdicts[1].evidence.effect > 0.5
    assert not accepted(found[B][1]), "nothing was trained on family B"

    change = library.apply(patch, verdicts=verdicts, by="train")
    assert library.snapshot().names == (B,)
    assert [v.gate for v in library.change(change.id).verdicts] == ["unneeded", "learned", "kept"]
    restore(library, A)
    assert library.snapshot().names == (A, B)


def test_a_policy_that_fails_with_and_without_has_learned_nothing(whole: tuple[Shelf, Path]) -> None:
    """No loss can be seen where nothing ever succeeds; that is no proof."""
    on, folder = whole
    store, fresh = RunStore(folder / "fresh.db"), tiny(width=48, layers=2, context=32, seed=7)
    benches = on.bench(fresh, "tiny", store), on.bench(fresh.clone("same"), "tiny", store)
    _, verdicts = anyio.run(partial(internalised, on, A, "x", *benches, on.tasks("gate", 50)))
    assert [(v.gate, v.status) for v in verdicts] == [("unneeded", "pass"), ("learned", "fail")]


def test_a_policy_that_lost_what_the_skill_gave_it_keeps_the_skill(whole: tuple[Shelf, Path]) -> None:
    """Better than before without the skill, and the same with it now; but with it, it was better still."""
    on, folder = whole
    before, _ = studies.trained(of(on), METHOD, 0, folder)
    tasks = on.tasks("gate", 50)

    class Halved:
        """Right on half of the tasks, whatever is shown."""

        def __init__(self, model: Model) -> None:
            self.name = "halved"

        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            right = tasks.index(task) % 2 == 0
            run = await BareAgent(Says(WORLD.oracle(task) if right else "?")).run(task, view, seed)
            return run

    class Says:
        name = "says"

        def __init__(self, text: str) -> None:
            self.text = text

        async def complete(self, request: Request) -> Response:
            from prowess.core.cost import Cost

            return Response(text=self.text, model=self.name, cost=Cost(calls=1))

    store = RunStore(folder / "halved.db")
    halved = replace(on, agent=Halved).bench(before, "halved", store)
    _, verdicts = anyio.run(partial(internalised, on, A, "x", halved, on.bench(before, "tiny", store), tasks))
    assert [(v.gate, v.status) for v in verdicts] == [("unneeded", "pass"), ("learned", "pass"), ("kept", "fail")]


def test_weights_of_an_arm_that_was_not_run(whole: tuple[Shelf, Path]) -> None:
    on, folder = whole
    with pytest.raises(UserError, match="no run of 'always shown'"):
        studies.trained(of(on), "always shown", 0, folder)
