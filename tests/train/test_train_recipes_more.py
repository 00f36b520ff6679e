"""Recipes of curators, extractors, teachers and explorers: formulas, schedules, and what their rollouts leave."""

import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest
import torch
from train_parts import actor, context, task

from prowess.measure.contribution import Standing
from prowess.train.losses import CrossEntropy
from prowess.train.mechanisms.constraints import Constraints
from prowess.train.mechanisms.grid import Grid, Place
from prowess.train.mechanisms.rules import Rules
from prowess.train.policies.scripted import ScriptedPolicy
from prowess.train.recipes import a3t, evolving, feedback, skillos, slim, soar, spear
from prowess.train.samples import Completion, Context, Episode, extend, joined, samples_of
from prowess.train.trainer import Trainer

# SkillOS


@pytest.mark.parametrize(
    ("call", "kind", "after"),
    [("IBst", "I", {"A": "xy", "B": "st"}), ("IAst", "", {"A": "xy"}), ("UAst", "U", {"A": "st"}),
     ("UBst", "", {"A": "xy"}), ("DA", "D", {}), ("DB", "", {"A": "xy"}), ("DAxy", "", {"A": "xy"}),
     ("-", "-", {"A": "xy"}), ("", "", {"A": "xy"}), ("IB", "", {"A": "xy"}), ("I?st", "", {"A": "xy"}),
     ("IBstu", "", {"A": "xy"})],
)  # fmt: skip
def test_skillos_calls(call: str, kind: str, after: dict[str, str]) -> None:
    before = {"A": "xy"}
    found = skillos.edited(before, call)
    assert (found.kind, found.repository) == (kind, after) and before == {"A": "xy"}


def test_skillos_reward() -> None:
    edits = [("I", True), ("U", False), ("", False), ("-", True)]
    assert skillos.parts([True, True, False, True], edits, 1) == pytest.approx(
        {"task": 2 / 3, "calls": 3 / 4, "content": 1 / 2, "compression": 3 / 4}
    )
    assert skillos.parts([False, True], [("-", False)] * 2, 0)["content"] == 0.0


def test_skillos_pays_the_task_after_the_edit() -> None:
    """A curator that keeps what succeeded makes later tasks succeed; on mixed streams it cannot."""

    def keep(prompt: str, rng: random.Random) -> str:
        return f"I{prompt[1:4]}" if prompt.startswith(">") and prompt.endswith("+") else "-"

    def success(grouped: bool, script: object) -> float:
        streams = skillos.streams("test", 60, 1, grouped=grouped)
        groups = skillos.Curation(copies=2)(streams, {"actor": ScriptedPolicy("actor", script)}, context())  # type: ignore[arg-type]
        skillos.Composite(skillos.WEIGHTS)(groups, context())
        assert all(len(e.samples) == skillos.LENGTH for g in groups for e in g)
        assert all(g[0].info["solved"] == g[1].info["solved"] for g in groups)  # equal edits, equal luck
        return sum(e.parts["task"] for g in groups for e in g) / 120

    assert success(True, keep) > 0.4 > 0.25 > success(False, keep)
    assert success(True, lambda prompt, rng: "-") == pytest.approx(0.2, abs=0.06)


# Evolving-RL


def test_evolving_compares_like_with_like() -> None:
    """A script that extracts well half of the time, and solves by what it is shown."""

    def script(prompt: str, rng: random.Random) -> str:
        if prompt.endswith(">"):
            right = prompt[-4] + prompt[-2]
            return right if rng.random() < 0.5 else "no"
        rule, _, rest = prompt.rpartition("|")
        return f"{rule[:1]}{rest[2]}{rule[1:]}" if rule else "?"

    recipe = evolving.recipe()
    [group] = recipe.rollout(evolving.sources("evidence", 1, 0), {"actor": ScriptedPolicy("actor", script)}, context())
    assert recipe.reward is not None and recipe.advantage is not None
    recipe.reward([group], context())
    extracted, solved = group[: evolving.SKILLS], group[evolving.SKILLS :]
    assert len(solved) == evolving.SKILLS * evolving.SIMILAR
    for i, e in enumerate(extracted):
        own = [s.reward for s in solved[i * evolving.SIMILAR : (i + 1) * evolving.SIMILAR]]
        assert e.reward == e.parts["right skill"] == sum(own) / len(own)  # type: ignore[arg-type]
    recipe.advantage([group], context())
    largest = {e.samples[0].role: max(e.samples[0].streams["adv"]) for e in group if e.reward}
    n = sum(e.reward == 1 for e in extracted)
    spread = ((1 - n / 8) / (n / 8)) ** 0.5  # (1 - mean) / deviation of n ones among eight
    assert largest == pytest.approx({"extractor": 0.2 * spread, "solver": spread}, rel=1e-4)


def test_evolving_pays_nothing_for_what_is_no_skill() -> None:
    assert evolving.is_skill("st") and not any(map(evolving.is_skill, ("", "s", "stu", "ab", "s?")))
    source = evolving.sources("evidence", 1, 0)[0]
    extracted = Episode(source, [], info={"answer": "s", "role": "extractor"})
    right = evolving.world_of(source).oracle(source)
    solved = Episode(source, [], info={"answer": right, "role": "solver"})
    evolving.Rewards()([[extracted, solved]], context())
    assert extracted.reward == 0.0 and solved.reward == 1.0


# SLIM


def lifecycle(script: object, steps: int, **how: bool) -> tuple[slim.Lifecycle, Context]:
    world = slim.world_of(0)
    part, ctx = slim.Lifecycle(world, **how), context(skills=slim.library(world), steps=100)
    policies = {"actor": ScriptedPolicy("actor", script)}  # type: ignore[arg-type]
    for ctx.step in range(0, 5 * steps, 5):
        part.used.update(dict.fromkeys(ctx.skills, 1))
        part(policies, ctx)
    return part, ctx


def follows(prompt: str, rng: random.Random) -> str:
    """Does what a skill says; without one knows what the warm start knows."""
    world = slim.world_of(0)
    rule, _, rest = prompt.rpartition("|")
    rule = rule or (world.rules[rest[0]] if rest[0] in slim.KNOWN else "ss")
    return f"{rule[0]}{rest[2]}{rule[1]}"


def test_slim_retires_what_harms_or_helps_nothing() -> None:
    _, ctx = lifecycle(follows, 8, expand=False)
    assert set(ctx.skills) == set(slim.USEFUL)
    _, early = lifecycle(follows, 4, expand=False)  # each was audited twice at most: patience is three
    assert set(early.skills) == set(slim.library(slim.world_of(0)))
    _, kept = lifecycle(follows, 8, expand=False, retire=False)
    assert set(kept.skills) == set(early.skills)


def test_slim_fills_gaps() -> None:
    world = slim.world_of(0)
    part, ctx = slim.Lifecycle(world, retire=False), context(skills=slim.library(world))
    policies = {"actor": ScriptedPolicy("actor", follows)}
    asked = world.tasks("evidence", 1, family=slim.WITHOUT)[0]
    failures = [Episode(asked, [], reward=0.0) for _ in range(slim.FAILURES - 1)]
    part.observe([failures], ctx)
    part(policies, ctx)
    assert slim.WITHOUT not in ctx.skills
    part.observe([failures[:1]], ctx)
    part(policies, ctx)
    assert ctx.skills[slim.WITHOUT] == world.rules[slim.WITHOUT]


def test_slim_state_goes_into_checkpoints() -> None:
    part, _ = lifecycle(follows, 3)
    again = slim.Lifecycle(part.world)
    again.load_state_dict(part.state_dict())
    assert again.followed == part.followed and again.used == part.used and again.failed == part.failed
    assert any(of != Standing() for of in again.followed.values()) and isinstance(again.used, Counter)


# Language feedback


def test_hints_name_the_first_fault_and_no_answer() -> None:
    world, asked = Constraints(), task("1a nb >3=")
    said = [feedback.hint(world, asked, answer) for answer in ("cdde", "abcd", "acd", "acde", "", "xyz", "a" * 99)]
    assert said == ["@1", "@2", "@3", "@0", "@9", "@9", "@9"]


def test_late_success_counts_less() -> None:
    late = Episode(task(), [], reward=1.0, info={"answers": ["a", "b", "c"], "solved": 2})
    never = Episode(task(), [], reward=0.0, info={"answers": ["a"] * 4})
    feedback.Discounted()([[late, never]], context())
    assert late.step_rewards == pytest.approx([0.49, 0.7, 1.0]) and never.step_rewards == [0.0] * 4


def test_the_teachers_words_are_predicted_and_not_reinforced() -> None:
    policy = actor()
    prompt, end = policy.tokens.prompt("1a="), policy.tokens.end
    sample = joined(prompt, Completion([*policy.tokens.prompt("b"), end], [-1.0] * 2, True), "actor")
    extend(sample, Completion([*policy.tokens.prompt("a"), end], [-1.0] * 2, True), policy.tokens.reply("@1"))
    sample.reinforce(1.0)
    feedback.Predict()([[Episode(task(), [sample], info={"last": "@0"})]], {"actor": policy}, context())
    weighed = [i for i, w in zip(sample.ids, sample.streams["w_ce"], strict=True) if w]
    assert policy.tokens.decode(weighed) == "@1@0"
    assert not any(m and w for m, w in zip(sample.mask, sample.streams["w_ce"], strict=True))
    assert len({len(v) for v in (sample.ids, sample.mask, sample.logp, sample.turn, *sample.streams.values())}) == 1


def test_alone_it_stops_at_its_own_verdict() -> None:
    """A script that answers rightly at the second try, and says so."""
    world = Constraints()
    [asked] = world.tasks("test", 1, level=3, seed=1)

    def script(prompt: str, rng: random.Random) -> str:
        tries = prompt.count("@")
        said = prompt.partition("=")[2]
        answered = said and (said[-1] != "@" and not said[-2:].startswith("@"))
        if answered:
            return feedback.RIGHT if tries else "@1"
        return world.oracle(asked) if tries else "xx"

    class Words(ScriptedPolicy):
        """Hints are two tokens, without an end."""

        def sample(self, prompts, **how):  # type: ignore[no-untyped-def]
            return [
                c._replace(ids=c.ids[: how["longest"]]) if how["longest"] == 2 else c
                for c in super().sample(prompts, **how)
            ]

    [answers] = feedback.alone(world, [asked], {"actor": Words("actor", script)}, 8)
    assert answers == ["xx", world.oracle(asked)]


# SPEAR


def test_spear_bonus_fades() -> None:
    assert spear.bonus(0, 100, 4) == pytest.approx(0.4) and spear.bonus(0, 100, 40) == 1.0
    assert spear.bonus(50, 100, 10) == pytest.approx(0.5)
    assert spear.bonus(100, 100, 10) == spear.bonus(300, 100, 10) == pytest.approx(0.0)


def test_spear_pays_for_what_does_something() -> None:
    rollout = spear._rollout(Grid(), 2)
    rollout = replace(rollout, turns=3)

    def pay(script: str, **how: bool) -> float:
        policies = {"actor": ScriptedPolicy("actor", lambda prompt, rng: script)}
        [group] = rollout(Grid().tasks("evidence", 1, level=2), policies, context())
        spear.Rewards(**how)([group], context())
        return group[0].reward or 0.0

    assert pay("?") == pytest.approx(spear.INVALID)
    assert pay("n") + pay("s") > 0.1 and pay("?", tools=False) == pytest.approx(spear.INVALID)


# SOAR


def test_soar_knows_a_problem_when_it_sees_one() -> None:
    world = soar.world_of(0)
    names = "".join(world.functions)
    good = f"{names[:2]}:abc"
    assert soar.proper(world, good)
    assert not any(soar.proper(world, bad) for bad in ("", ":abc", names[0], "A:ab", "A:abz", "?:abc", "ABCDE:abc"))


def test_soar_promotes_after_progress_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soar, "INNER", 1)
    monkeypatch.setattr(soar, "PROBED", 2)
    base = actor(context=96)
    policies = {"actor": base, "student": base.clone("student", trainable=True)}
    room, before = soar.Classroom(soar.world_of(0)), policies["student"].snapshot()
    right = itertools.cycle((0.0, 1.0))  # answers that are all worth the same would teach nothing
    monkeypatch.setattr(soar, "labelled", lambda task, answer: next(right))
    monkeypatch.setattr(soar.Classroom, "_answered", lambda self, texts, teacher, ctx: [soar.asking("A:abc", 0)])
    measured = iter([0.0, 0.1, 0.0, 0.0, 0.0] * 2 + [0.0] * 5 + [0.0, 0.0, 0.5, 0.0, 0.0])
    monkeypatch.setattr(soar.Classroom, "_hard", lambda self, student: next(measured))
    asked, ctx = [soar.asking(soar.PROPOSE, 0)], context()
    for _ in range(3):
        [group] = room(asked, policies, ctx)
        assert len(group) == soar.SETS and all(len(e.samples) == soar.PROBLEMS for e in group)
    after = policies["student"].snapshot()
    assert room.promoted == 1 and not room.recent  # the mean of three steps was above 0.01
    assert any(not torch.equal(a, b) for a, b in zip(before.values(), after.values(), strict=True))
    room(asked, policies, ctx)
    assert room.promoted == 1 and list(room.recent) == [0.125]


def test_soar_gives_every_problem_of_a_set_the_same() -> None:
    recipe = soar.recipe(0)
    prompt = [5, 6]
    group = [
        Episode(task(), [joined(prompt, Completion([7, 1], [-1.0] * 2, True), "actor") for _ in range(3)], reward=r)
        for r in (0.0, 0.3, 0.6)
    ]
    assert recipe.advantage is not None
    recipe.advantage([group], context())
    given = [{round(s.streams["adv"][-1], 6) for s in e.samples} for e in group]
    assert given == [{-0.45}, {0.0}, {0.45}]


# A3T


def test_reasons_of_actions() -> None:
    place = Place(1, 1, (2, 1), (0, 0))
    assert [a3t.reason(place, a) for a in "eswn"] == ["kx", "ko", "ko", "ko"]
    held = Place(1, 1, (1, 1), (0, 0), held=True)
    assert [a3t.reason(held, a) for a in "wn"] == ["dx", "dy"] and a3t.reason(place, "t") == "kt"


def test_explored_actions_carry_reasons_written_afterwards() -> None:
    def script(prompt: str, rng: random.Random) -> str:
        return f"r{prompt[-1]}" if "<" in prompt else "??:n"

    policies = {"actor": ScriptedPolicy("actor", script)}
    tasks = Grid().tasks("evidence", 8, level=1)
    groups = a3t.Attempts(explore=1.0)(tasks, policies, context())
    said = [
        policies["actor"].tokens.decode(i for i, m in zip(s.ids, s.mask, strict=True) if m) for s in samples_of(groups)
    ]
    assert said and all(text[:2] == f"r{text[3]}" for text in said)
    silent = samples_of(a3t.Attempts(explore=1.0, reasons=False)(tasks, policies, context()))
    assert all(policies["actor"].tokens.decode(s.ids)[-2] == ":" for s in silent)


def test_failures_count_against_only_beside_a_success() -> None:
    def tried(*rewards: float) -> list[Episode]:
        return [
            Episode(task(), [joined([5], Completion([6, 1], [-1.0] * 2, True), "actor")], reward=r) for r in rewards
        ]

    both, lost = tried(0.0, 1.0), tried(0.0)
    a3t.Contrast(0.1)([both, lost], context())
    assert [e.samples[0].streams["w_ce"][-1] for e in both] == [-0.1, 1.0] and "w_ce" not in lost[0].samples[0].streams


def test_a_round_begins_again_at_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(a3t, "ROUND", 2)
    policy = actor(context=64)
    policies = {"actor": policy, "reference": policy.clone("reference")}
    solved = Episode(task(), [joined([5], Completion([6, 1], [-1.0] * 2, True), "actor")], reward=1.0)
    monkeypatch.setattr(a3t.Rounds, "_attempted", lambda self, tasks, policies, ctx: [[solved]])
    trainer = Trainer(policies, replace(a3t.recipe(), losses=(CrossEntropy(),)), steps=3)

    def away() -> float:
        pairs = zip(policy.snapshot().values(), policies["reference"].snapshot().values(), strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)

    trainer.step()
    one = away()
    trainer.step()
    two = away()
    trainer.step()
    assert 0 < away() < two and one < two
    rollout = trainer.recipe.rollout
    assert isinstance(rollout, a3t.Rounds) and len(rollout.kept) == 2
    again = a3t.Rounds()
    again.load_state_dict(rollout.state_dict())
    assert again.kept == rollout.kept


def test_worlds_of_recipes_share_no_prompt_between_splits() -> None:
    for draw in (skillos.streams, evolving.sources):
        kinds = [{t.prompt for t in draw(split, 40, 1)} for split in ("evidence", "test")]
        assert not kinds[0] & kinds[1]
    assert Rules(3, families=9).rules.keys() == slim.world_of(3).rules.keys()
