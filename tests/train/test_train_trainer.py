"""The trainer: what it trains and what it leaves alone, stopping and going on, and bad input."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from train_parts import actor, context, task

from prowess.core.errors import UserError
from prowess.core.task import Task
from prowess.train import checkpoints
from prowess.train.advantages import GroupNorm, Imitate, RoleBaseline
from prowess.train.curricula import Band, Fresh, Pool, mixed, varied
from prowess.train.losses import KL, CovarianceClip, CrossEntropy, PolicyGradient
from prowess.train.mechanisms.base import Example, Heard
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import with_adapters
from prowess.train.policies.model import ModelPolicy
from prowess.train.policies.tokens import Characters
from prowess.train.recipes import exit as exit_recipe
from prowess.train.rewards import Outcome, turn_returns
from prowess.train.rollouts import Episodes, SingleTurn
from prowess.train.samples import Context, Group, dump, load, samples_of
from prowess.train.teachers import Scored
from prowess.train.trainer import Trainer
from prowess.train.warm import imitation


def letters(task_: Task, answer: str) -> float:
    """The share of an answer that is the letter e: something that any policy can get better at."""
    return answer.count("e") / 4


def recipe(**changes: Any) -> Recipe:
    fields: dict[str, Any] = {
        "name": "letters",
        "curriculum": Fresh(lambda n, seed: [task(p, id=p) for p in random.Random(seed).sample("abcdefgh", n)]),
        "rollout": SingleTurn(4, copies=4),
        "reward": Outcome(letters),
        "advantage": GroupNorm(),
        "losses": (PolicyGradient(),),
        "optim": Optim(lr=1e-2),
        "prompts": 4,
    }
    return Recipe(**{**fields, **changes})


def weights(policy: ModelPolicy) -> list[torch.Tensor]:
    return list(policy.snapshot().values())


def equal(one: Sequence[torch.Tensor], two: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_it_learns() -> None:
    policy = actor()
    seen: list[float] = []
    Trainer({"actor": policy}, recipe(), steps=30).run(lambda step, metrics: seen.append(metrics["reward"]))
    assert sum(seen[-5:]) / 5 > 0.6 > 0.2 > sum(seen[:3]) / 3
    assert policy.version == 30


def stateful() -> Recipe:
    """Every kind of part that keeps something: curriculum, advantage, audits, random loss, several updates a step."""
    return exit_recipe.recipe()


def cast() -> dict[str, ModelPolicy]:
    policy = actor(context=64)
    return {"actor": policy, "reference": policy.clone("reference")}


def test_six_steps_are_three_and_three(tmp_path: Path) -> None:
    """Weights, optimiser, randomness, curriculum, moving reference: a run that was stopped ends as one that was not."""
    whole = Trainer(cast(), stateful(), steps=6, seed=1)
    whole.recipe.curriculum.least = 8  # type: ignore[attr-defined]
    figures = [whole.step() for _ in range(6)]
    first = Trainer(cast(), stateful(), steps=6, seed=1)
    first.recipe.curriculum.least = 8  # type: ignore[attr-defined]
    for _ in range(3):
        first.step()
    checkpoints.save(tmp_path, 3, first.state_dict())
    second = Trainer(cast(), stateful(), steps=6, seed=99)
    second.recipe.curriculum.least = 8  # type: ignore[attr-defined]
    state = checkpoints.latest(tmp_path)
    assert state is not None
    second.load_state_dict(state)
    again = [second.step() for _ in range(3)]
    clock = {"collecting", "updating"}
    for a, b in zip(figures[3:], again, strict=True):
        assert {k: v for k, v in a.items() if k not in clock} == {k: v for k, v in b.items() if k not in clock}
    for name in ("actor", "reference"):
        assert equal(weights(whole.policies[name]), weights(second.policies[name]))


def test_several_updates_a_step_resume_too(tmp_path: Path) -> None:
    made = recipe(
        optim=Optim(lr=1e-3, epochs=2, rows=5, warmup=4), losses=(CovarianceClip(),), advantage=RoleBaseline()
    )
    whole = Trainer({"actor": actor()}, made, steps=4)
    whole.run()

    def again() -> Recipe:
        return recipe(optim=made.optim, losses=made.losses, advantage=RoleBaseline())

    first = Trainer({"actor": actor()}, again(), steps=4)
    first.step()
    first.step()
    second = Trainer({"actor": actor(seed=5)}, again(), steps=4)
    second.load_state_dict(first.state_dict())
    second.run()
    assert equal(weights(whole.policies["actor"]), weights(second.policies["actor"]))


def test_the_other_policy_stays_bit_for_bit() -> None:
    """Training the critic leaves the generator alone, as adapters of one base and as models of their own."""
    adapted = with_adapters(actor().network, Characters(), ["actor", "critic"], rank=2)
    for policies in (adapted, {"actor": actor(), "critic": actor("critic", seed=1)}):
        before = weights(policies["actor"]), weights(policies["critic"])
        rollout = SingleTurn(4, copies=4, policy="critic")
        Trainer(policies, recipe(rollout=rollout, train=("critic",)), steps=2).run()
        assert equal(weights(policies["actor"]), before[0])
        assert not equal(weights(policies["critic"]), before[1])


def test_two_policies_learn_at_once() -> None:
    policies = {"actor": actor(), "critic": actor("critic", seed=1)}

    class Both:
        def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
            return SingleTurn(4, 4)(tasks[:2], policies, ctx) + SingleTurn(4, 4, "critic")(tasks[2:], policies, ctx)

    before = {n: weights(p) for n, p in policies.items()}
    variety = Outcome(lambda t, a: float(ord((a or " ")[0])))
    metrics = Trainer(policies, recipe(rollout=Both(), reward=variety, train=("actor", "critic")), steps=1).step()
    assert metrics["actor/updates"] == metrics["critic/updates"] == 1
    assert not any(equal(before[n], weights(p)) for n, p in policies.items())


def test_gates_leave_out_and_refill() -> None:
    metrics = Trainer({"actor": actor()}, recipe(gates=(lambda group: False,), refills=2), steps=1).step()
    assert metrics["episodes"] == 3 * 16 and metrics["groups"] == 0 and metrics["updates"] == 0
    policy = actor()
    before = weights(policy)
    Trainer({"actor": policy}, recipe(gates=(lambda group: False,)), steps=1).step()
    assert equal(before, weights(policy))  # nothing admitted, nothing moved, not even by momentum


def test_gates_by_hand() -> None:
    from train_parts import group

    assert varied(group(0.0, 1.0)) and not varied(group(1.0, 1.0)) and not varied(group(1.0, None))
    assert Band()(group(0.0, 1.0)) and not Band()(group(1.0, 1.0)) and not Band()(group(None))


def test_curricula_draw_what_they_say() -> None:
    pool = Pool(tuple(task(id=str(i)) for i in range(5)))
    assert len({t.id for t in pool.draw(9, context())}) == 5
    draw = mixed(lambda n, s: [task(id=f"a{i}") for i in range(n)], lambda n, s: [task(id=f"b{i}") for i in range(n)])
    assert [t.id for t in draw(3, 0)] == ["a0", "a1", "b0"]


class Echo:
    """Two turns of talk; pays for the second answer."""

    def __init__(self, of: Task) -> None:
        self.turn = 0

    def reset(self) -> str:
        return "ab"

    def step(self, action: str) -> Heard:
        self.turn += 1
        return Heard(f"c{self.turn}", float(self.turn == 2), self.turn == 2, {"seen": self.turn})


@pytest.mark.parametrize("style", ["concat", "steps"])
def test_turns_are_one_sample_or_one_each(style: Any) -> None:
    policy = actor()
    rollout = Episodes(lambda t, ctx: Echo(t), longest=3, copies=2, turns=5, style=style)
    [group] = rollout([task()], {"actor": policy}, context())
    for e in group:
        assert e.reward == 1.0 and e.info["rewards"] == [0.0, 1.0] and e.info["seen"] == 2
        said = [policy.tokens.decode(i for i, m in zip(s.ids, s.mask, strict=True) if m) for s in e.samples]
        assert "".join(said) == "".join(e.info["answers"])
        if style == "concat":
            [s] = e.samples
            first = s.mask.index(True)
            assert policy.tokens.decode(s.ids[:first]) == "ab" and max(s.turn) == 1
            between = [i for i, (m, t) in enumerate(zip(s.mask, s.turn, strict=True)) if not m and t == 1]
            assert policy.tokens.decode(s.ids[i] for i in between) == "c1"
            scored = policy.score([s.ids])[0]
            assert [p for p, m in zip(scored, s.mask, strict=True) if m] == pytest.approx(
                [p for p, m in zip(s.logp, s.mask, strict=True) if m], abs=1e-4
            )
        else:
            assert [s.anchor for s in e.samples] == ["ab", "c1"] and [s.position for s in e.samples] == [0, 1]


def test_episodes_survive_being_written_down() -> None:
    groups = SingleTurn(4, 2)([task("a"), task("b")], {"actor": actor()}, context())
    Outcome(letters)(groups, context())
    GroupNorm()(groups, context())
    assert load(dump(groups)) == groups


def test_a_reference_pulls_back() -> None:
    """With a strong KL term the policy stays where it was; without, it leaves."""

    def moved(beta: float) -> float:
        policies = cast()
        losses = (PolicyGradient(), KL(beta))
        Trainer(policies, recipe(teacher=Scored("reference"), losses=losses), steps=8).run()
        rows = [s.ids for s in samples_of(SingleTurn(4, 8)([task("a")], policies, context()))]
        pairs = zip(policies["actor"].score(rows), policies["reference"].score(rows), strict=True)
        return sum(sum(a) - sum(b) for a, b in pairs) / len(rows)

    assert moved(20.0) < 0.5 * moved(0.0)


def test_a_teacher_reads_more_than_the_student() -> None:
    policy = actor()
    groups = SingleTurn(4, 2)([task("a")], {"actor": policy}, context())
    hint = policy.tokens.prompt("hint:a")
    Scored("actor", prompt=lambda e: f"hint:{e.task.prompt}")(groups, {"actor": policy}, context())
    for s in samples_of(groups):
        expected = policy.score([[*hint, *s.ids[1:]]])[0][len(hint) :]
        assert s.streams["ref_logp"][1:] == pytest.approx(expected) and s.streams["w_kl"][0] == 0


# Bad input


def test_policies_that_cannot_learn_are_refused() -> None:
    with pytest.raises(UserError, match="'actor', which is not there"):
        Trainer({}, recipe())
    frozen = actor()
    frozen.trainable = False
    with pytest.raises(UserError, match="cannot be trained"):
        Trainer({"actor": frozen}, recipe())
    shared = with_adapters(actor().network, Characters(), ["a"])["a"].network
    with pytest.raises(UserError, match="carries adapters"):
        Trainer({"actor": ModelPolicy("actor", shared, Characters())}, recipe())


def test_no_token_to_train_on_is_an_error() -> None:
    with pytest.raises(UserError, match="collected no token"):
        Trainer({"actor": actor()}, recipe(curriculum=Fresh(lambda n, seed: []))).step()


@pytest.mark.parametrize("change", [{"advantage": None}, {"rollout": SingleTurn(4, 4, policy="reference")}])
def test_tokens_that_nobody_learns_from_are_an_error(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="no token of actor can be trained on"):
        Trainer(cast(), recipe(**change)).step()


def test_a_reward_that_is_missing_is_an_error() -> None:
    with pytest.raises(UserError, match="no episode has a reward"):
        Trainer({"actor": actor()}, recipe(reward=None)).step()


def test_a_group_of_one_is_an_error() -> None:
    with pytest.raises(UserError, match="single episode"):
        Trainer({"actor": actor()}, recipe(rollout=SingleTurn(4, copies=1))).step()


def test_a_loss_that_is_not_finite_leaves_the_weights_alone() -> None:
    def burst(groups: Sequence[Group], ctx: Context) -> None:
        for s in samples_of(groups):
            s.reinforce(float("inf"))

    policy = actor()
    before = weights(policy)
    with pytest.raises(UserError, match="not finite; the weights are those before"):
        Trainer({"actor": policy}, recipe(advantage=burst)).step()
    assert equal(before, weights(policy))


def test_checkpoints_that_are_damaged_give_way_to_older_ones(tmp_path: Path) -> None:
    trainer = Trainer({"actor": actor()}, recipe(), steps=9)
    for step in (1, 2, 3):
        checkpoints.save(tmp_path, step, {**trainer.state_dict(), "step": step})
    found = sorted(tmp_path.iterdir())
    assert [p.name for p in found] == ["step-00000002.ckpt", "step-00000003.ckpt"]
    data = bytearray(found[1].read_bytes())
    data[len(data) // 2] ^= 1
    found[1].write_bytes(data)
    said: list[str] = []
    state = checkpoints.latest(tmp_path, said.append)
    assert state is not None and state["step"] == 2 and "damaged" in said[0]
    found[0].write_bytes(b"")
    with pytest.raises(UserError, match="every checkpoint"):
        checkpoints.latest(tmp_path)
    assert checkpoints.latest(tmp_path / "nothing") is None


def test_a_checkpoint_of_another_recipe_or_model_is_refused() -> None:
    state = Trainer({"actor": actor()}, recipe()).state_dict()
    with pytest.raises(UserError, match="of 'letters', not of 'other'"):
        Trainer({"actor": actor()}, recipe(name="other")).load_state_dict(state)
    with pytest.raises(UserError, match="another model"):
        Trainer({"actor": actor(width=16)}, recipe()).load_state_dict(state)


def test_warm_starts_imitate_every_turn() -> None:
    shown = [Example("ab", "cd", (("?", "ef"),))]
    policy = actor()
    trainer = Trainer({"actor": policy}, imitation(lambda n, seed: shown * n, rows=8, lr=1e-2, warmup=0), steps=60)
    trainer.run()
    prompt = policy.tokens.prompt("ab")
    [first] = policy.sample([prompt], longest=4, temperature=0, seed=0)
    assert policy.tokens.decode(first.ids) == "cd" and first.finished
    [second] = policy.sample([[*prompt, *first.ids, *policy.tokens.reply("?")]], longest=4, temperature=0, seed=0)
    assert policy.tokens.decode(second.ids) == "ef"


def test_imitation_of_nothing_right_changes_nothing() -> None:
    policy = actor()
    before = weights(policy)
    made = recipe(reward=Outcome(lambda t, a: 0.0), advantage=Imitate(), losses=(CrossEntropy(),))
    assert Trainer({"actor": policy}, made).step()["updates"] == 0
    assert equal(before, weights(policy))


def test_returns_of_turns() -> None:
    assert turn_returns(3, 2) == pytest.approx([0.49, 0.7, 1.0])
    assert turn_returns(3, None) == [0, 0, 0] and turn_returns(3, 0) == [1, 0, 0]
