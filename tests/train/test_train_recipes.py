"""Recipes: formulas against tables, schedules at fixed points, and every arm of every study for two steps."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from train_parts import actor, context, task

from prowess.core.errors import UserError
from prowess.train import study as studies
from prowess.train.advantages import TurnNorm
from prowess.train.losses import KL, PolicyGradient
from prowess.train.mechanisms.constraints import Constraints
from prowess.train.mechanisms.expr import Expressions
from prowess.train.mechanisms.macro import Macro
from prowess.train.mechanisms.rules import Rules
from prowess.train.parts import Recipe
from prowess.train.policies.scripted import ScriptedPolicy
from prowess.train.recipes import STUDIES, compositionality, exit, sage, score, skill0, soar, spear, study
from prowess.train.record import StudyRecord, difference, interval
from prowess.train.samples import Context, Episode
from prowess.train.study import Phase, Study


@pytest.mark.parametrize(
    ("r1", "r2", "used", "rewards"),
    [(1, 1, True, (2, 2)), (1, 1, False, (1, 1)), (1, 0, True, (1, 0)), (0, 1, True, (0, 2)), (0.5, 1, True, (0.5, 2)),
     (0, 0, True, (0, 0)), (1, 0, False, (1, 0)), (0, 1, False, (0, 1))],
)  # fmt: skip
def test_sage_rewards(r1: float, r2: float, used: bool, rewards: tuple[float, float]) -> None:
    assert sage.sage(r1, r2, used) == rewards


def test_sage_pays_minus_one_for_no_program() -> None:
    assert sage.sage(0, 1, False, said1=False) == (-1, 1) and sage.sage(1, 0, False, said2=False) == (1, -1)


def test_a_skill_counts_only_when_it_was_called_and_from_before() -> None:
    """Two chains by a script: one defines and calls, the other defines anew in the second task."""
    world = Macro()
    [first] = world.tasks("evidence", 1)
    macro, second = str(first.meta["macro"]), world.second(first)

    def script(prompt: str, rng: random.Random) -> str:
        return world.oracle(first if prompt == f"{first.prompt}>" else second)

    policies = {"actor": ScriptedPolicy("actor", script)}
    [[episode]] = sage.Chain(world, copies=1)([first], policies, context())
    sage.Rewards()([[episode]], context())
    assert episode.info["used"] and episode.step_rewards == [2, 2] and [s.position for s in episode.samples] == [0, 1]
    assert policies["actor"].tokens.decode(episode.samples[1].ids).startswith(f"M={macro};")

    policies = {"actor": ScriptedPolicy("actor", lambda prompt, rng: f"[{macro}]")}
    [[episode]] = sage.Chain(world, copies=1)([first], policies, context())
    assert not episode.info["used"]


def test_score_bonus() -> None:
    assert score.shaped(0, 1) == (0, 11) and score.shaped(1, 0) == (1, -10) and score.shaped(1, 1) == (1, 1)


def test_score_without_bonus_and_kl_is_plain_multi_turn_reinforce() -> None:
    plain = score.stage(2, alpha=0, beta1=0)
    assert plain.teacher is None and plain.losses == (PolicyGradient(),) and plain.advantage == TurnNorm()
    e = Episode(task(), [], info={"rewards": [0.0, 1.0]})
    score.Rewards(2, 0.0)([[e]], context())
    assert e.step_rewards == [0.0, 1.0]


def test_score_holds_the_first_attempt_in_stage_one_and_both_in_stage_two() -> None:
    for number, held in ((1, {0}), (2, {0, 1})):
        recipe = score.stage(number)
        assert isinstance(recipe.losses[1], KL)
        policies = {"actor": actor(context=96), "reference": actor("reference", context=96)}
        groups = recipe.rollout(Expressions().tasks("evidence", 2), policies, context())
        assert recipe.teacher is not None
        recipe.teacher(groups, policies, context())
        for s in (s for g in groups for e in g for s in e.samples):
            assert {t for t, w, m in zip(s.turn, s.streams["w_kl"], s.mask, strict=True) if m and w} == held


def test_score_counts_a_first_answer_only_by_heart() -> None:
    world = Expressions()
    [of] = world.tasks("evidence", 1)
    env = score.TwoAttempts(world, of)
    assert env.step(world.oracle(of)).reward == 0.0
    assert env.step(world.oracle(of)).reward == 1.0


def test_skill0_keeps_by_delta() -> None:
    deltas = {"a": 0.3, "b": -0.1, "c": 0.0, "d": 0.5}
    assert skill0.keep(deltas, 6) == ["d", "a", "c"]
    assert skill0.keep(deltas, 2) == ["d", "a"]
    assert skill0.keep(deltas, 0) == []
    assert skill0.keep(deltas, 2, general=["a"]) == ["a", "d"]


def test_skill0_schedule_has_equal_parts() -> None:
    parts = [skill0.allowed(step / 90, (6, 3, 0)) for step in (0, 29, 30, 59, 60, 90)]
    assert parts == [6, 6, 3, 3, 0, 0]


def test_skill0_drops_the_skill_that_does_not_help() -> None:
    """A policy that follows what is shown, and knows family A by heart: A's skill helps nothing."""
    world = Rules()

    def script(prompt: str, rng: random.Random) -> str:
        rule, _, rest = prompt.rpartition("|")
        rule = rule or (world.rules["A"] if rest[0] == "A" else "ss")
        return f"{rule[0]}{rest[2]}{rule[1]}"

    ctx = Context(random.Random(0), step=40, steps=100, skills=dict(world.rules))
    skill0.Withdraw(skill0.helped(world))({"actor": ScriptedPolicy("actor", script)}, ctx)
    assert len(ctx.skills) == 3 and "A" not in ctx.skills
    wrong = Context(random.Random(0), step=1, steps=100, skills={**world.rules, "A": "zz"})
    skill0.Withdraw(skill0.helped(world))({"actor": ScriptedPolicy("actor", script)}, wrong)
    assert set(wrong.skills) == set("BCDEF")  # one that harms goes at once


def test_exit_grows_its_space() -> None:
    world = Constraints()
    space = exit.TaskSpace(world, again=1.0, least=4)
    ctx = context()
    policies = {"actor": ScriptedPolicy("actor", lambda prompt, rng: world.text(rng))}
    recipe = exit.recipe()
    for _ in range(2):
        groups = recipe.rollout(space.draw(8, ctx), policies, ctx)
        assert recipe.reward is not None
        recipe.reward(groups, ctx)
        space.observe(groups, ctx)
    assert space.states == sorted(space.states, key=lambda s: -s.score)
    assert space.drawn and all(g[0].task.id in space.drawn for g in groups)
    assert all(g[0].task.prompt[-1] in exit.IMPROVE + exit.DIVERGE for g in groups)
    again = exit.TaskSpace(world)
    again.load_state_dict(space.state_dict())
    assert again.states == space.states


def test_exit_pays_what_differs() -> None:
    part = exit.Diverse("ab")
    group = [Episode(task(), [], info={"answer": a}) for a in ("aa", "aa", "bb")]
    near, _, far = part._distances(group)
    assert far == pytest.approx(2 * near) and near + near + far == pytest.approx(3)
    assert part._distances(group[:2]) == [1.0, 1.0]


def test_offline_imitation_learns_from_the_reference() -> None:
    recipe = compositionality.rft(compositionality.Strings(), 1, offline=True)
    policies = {"actor": actor(), "reference": ScriptedPolicy("reference", lambda p, rng: "A>aaa.")}
    groups = recipe.rollout(compositionality.Strings().tasks("evidence", 1), policies, context())
    assert {s.policy for e in groups[0] for s in e.samples} == {"actor"}
    assert groups[0][0].info["answer"] == "A>aaa."


def small(of: Study) -> Study:
    """The study with few tasks in each step."""

    def few(phase: Phase) -> Phase:
        return phase._replace(recipe=replace(phase.recipe, prompts=min(3, phase.recipe.prompts)))

    arms = {
        name: replace(arm, phases=lambda seed, of=arm.phases: [few(phase) for phase in of(seed)])
        for name, arm in of.arms.items()
    }
    return replace(of, measured=2, warm=lambda seed: few(of.warm(seed)), arms=arms)


@pytest.mark.parametrize("name", STUDIES)
def test_every_arm_runs_and_a_stopped_study_ends_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two small steps of each phase; then again, stopped by force in the middle of the first arm."""
    for part, constant, value in ((soar, "INNER", 2), (soar, "PROBED", 4), (soar, "SETS", 2), (spear, "LONGEST", 6)):
        monkeypatch.setattr(part, constant, value)
    chosen = small(study(name))
    whole = studies.run_study(chosen, tmp_path / "whole", seeds=[0], scale=1e-6, looks=2)
    assert [a.name for a in whole.arms] == list(chosen.arms)
    assert all(chosen.headline in p.figures for a in whole.arms for r in a.runs for p in r.points)

    calls = 0
    real = studies.Trainer.step

    def stop(trainer: studies.Trainer) -> studies.Metrics:
        nonlocal calls
        calls += 1
        if calls == 4:  # two of the warm start, one of the first arm
            raise KeyboardInterrupt
        return real(trainer)

    first = next(iter(chosen.arms))
    with monkeypatch.context() as patch:
        patch.setattr(studies.Trainer, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            studies.run_study(chosen, tmp_path / "cut", seeds=[0], arms=[first], scale=1e-6, looks=2)
    again = studies.run_study(chosen, tmp_path / "cut", seeds=[0], arms=[first], scale=1e-6, looks=2)
    assert again.arms[0].runs[0].points == whole.arms[0].runs[0].points
    assert again.arms[0].runs[0].rewards == whole.arms[0].runs[0].rewards
    assert StudyRecord.model_validate_json((tmp_path / "whole" / "study.json").read_text()) == whole


def test_what_a_folder_holds_is_not_run_again_and_stays_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = small(study("sage"))
    one, two, *_ = chosen.arms
    studies.run_study(chosen, tmp_path, seeds=[0], arms=[two], scale=1e-6, looks=2)
    both = studies.run_study(chosen, tmp_path, seeds=[1], arms=[one], scale=1e-6, looks=2)
    assert [(a.name, [r.seed for r in a.runs]) for a in both.arms] == [(one, [1]), (two, [0])]

    def stop(trainer: studies.Trainer) -> studies.Metrics:
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(studies.Trainer, "step", stop)
    assert studies.run_study(chosen, tmp_path, seeds=[1], arms=[one], scale=1e-6, looks=2) == both


def test_studies_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training recipe is called 'nothing'"):
        study("nothing")
    with pytest.raises(UserError, match="has no arm 'x'"):
        studies.run_study(study("sage"), tmp_path, seeds=[0], arms=["x"])
    studies._claim(tmp_path, {"study": "sage"})
    with pytest.raises(UserError, match="holds a study of"):
        studies._claim(tmp_path, {"study": "exit"})


def test_intervals_over_seeds() -> None:
    assert str(interval([0.5])) == "0.50 (one seed)"
    found = interval([0.1, 0.2, 0.3])
    assert found.mean == pytest.approx(0.2) and found.low == pytest.approx(0.2 - 4.303 * 0.1 / 3**0.5, abs=1e-3)
    with pytest.raises(ValueError, match="no values"):
        interval([])


def test_differences_are_taken_seed_by_seed() -> None:
    from prowess.train.record import ArmRecord, Point, SeedRun

    def arm(*ends: tuple[int, float]) -> ArmRecord:
        runs = tuple(SeedRun(seed=s, points=(Point(step=1, tokens=1, figures={"x": v}),), seconds=1.0) for s, v in ends)
        return ArmRecord(name="a", what="", runs=runs)

    found = difference(arm((0, 0.5), (1, 0.9)), arm((1, 0.8), (0, 0.4), (2, 9.0)), "x")
    assert found is not None and found.mean == pytest.approx(0.1) and found.n == 2
    assert difference(arm((0, 1.0)), arm((1, 1.0)), "x") is None


def test_every_recipe_of_a_study_has_a_name_of_its_own() -> None:
    """Checkpoints tell recipes apart by name."""
    for name in STUDIES:
        names: list[tuple[str, ...]] = []
        for arm in study(name).arms.values():
            recipes: list[Recipe] = [p.recipe for p in arm.phases(0)]
            names.append(tuple(r.name for r in recipes))
        assert len(set(names)) == len(names)
