"""Loss terms: what must hold at the first update, what must not move, and which terms are the same thing."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from train_parts import actor, context, sample

from prowess.train.losses import KL, CovarianceClip, CrossEntropy, Distill, Entropy, PolicyGradient, Triplet, info_nce
from prowess.train.packing import Forward, Packed, Whole, pack, parts
from prowess.train.parts import Loss
from prowess.train.samples import Sample, joined


def rows(n: int = 4, seed: int = 0, temperature: float = 1.0) -> list[Sample]:
    """Samples of a fresh policy, of unequal lengths."""
    policy = actor()
    prompts = [policy.tokens.prompt(p) for p in ("a", "bcd", "ef", "ghijk")[:n]]
    said = policy.sample(prompts, longest=6, seed=seed, temperature=temperature)
    return [joined(p, c, "actor", temperature=temperature) for p, c in zip(prompts, said, strict=True)]


def gradient(term: Loss, samples: list[Sample], batches: int = 1) -> tuple[float, Tensor]:
    """The loss and the whole gradient of a fresh policy, computed in so many parts."""
    policy, whole = actor(), Whole.of(samples)
    size = math.ceil(len(samples) / batches)
    total = 0.0
    for i in range(0, len(samples), size):
        batch = pack(samples[i : i + size], whole)
        loss = term(policy.forward(batch, term.needs), batch, context()).loss
        loss.backward()
        total += float(loss.detach())
    return total, torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])


def reinforced(adv: list[float], **kwargs: float) -> list[Sample]:
    samples = rows(**kwargs)
    for s, a in zip(samples, adv, strict=True):
        s.reinforce(a)
    return samples


ADV = [1.0, -0.5, 2.0, -2.0]


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1.5])
def test_at_the_first_update_the_ratio_is_one(temperature: float) -> None:
    samples = reinforced(ADV, temperature=temperature)
    batch = pack(samples)
    forward = actor().forward(batch)
    assert float(((forward.logp - batch.logp) * batch.mask).abs().max().detach()) < 1e-4
    term = PolicyGradient()(forward, batch, context())
    assert float(term.figures["clipped"]) == 0 and float(term.figures["drift"]) < 1e-4


def test_at_ratio_one_it_is_reinforce() -> None:
    def reinforce(forward: Forward, batch: Packed, ctx: object) -> Tensor:
        return -(forward.logp * batch.stream("adv") * batch.mask).sum() / batch.mask.sum()

    samples = reinforced(ADV)
    _, clipped = gradient(PolicyGradient(), samples)
    policy, batch = actor(), pack(samples)
    reinforce(policy.forward(batch), batch, None).backward()
    plain = torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])
    assert torch.allclose(clipped, plain, atol=1e-6)


def test_rejection_fine_tuning_is_the_policy_gradient_of_right_answers() -> None:
    right = rows()
    for s, r in zip(right, (1, 0, 1, 0), strict=True):
        if r:
            s.write("w_ce", 1.0)
    kept = [s for s in right if s.trainable]
    _, imitation = gradient(CrossEntropy(), kept)
    rewarded = rows()
    for s, r in zip(rewarded, (1, 0, 1, 0), strict=True):
        if r:
            s.reinforce(1.0)
    _, policy = gradient(PolicyGradient(), [s for s in rewarded if s.trainable])
    assert torch.allclose(imitation, policy, atol=1e-6)


@pytest.mark.parametrize(
    "term",
    [PolicyGradient(aggregate="token"), PolicyGradient(aggregate="sequence"), PolicyGradient(aggregate="length"),
     PolicyGradient(level="sequence"), Entropy(0.1)],
)  # fmt: skip
def test_parts_add_up_to_the_whole(term: Loss) -> None:
    """How an update is cut to fit the memory changes nothing."""
    one, whole = gradient(term, reinforced(ADV))
    two, cut = gradient(term, reinforced(ADV), batches=3)
    assert one == pytest.approx(two, abs=1e-6)
    assert torch.allclose(whole, cut, atol=1e-6)


def test_aggregates_by_hand() -> None:
    """Ratio 1, advantages 3 and 0 on rows of 1 and 3 tokens: means over tokens, over sequences, over 3 x 2 places."""
    samples = [sample((5, 6)), sample((5, 6, 7, 8))]
    samples[0].reinforce(3.0)
    samples[1].reinforce(0.0)
    batch = pack(samples)
    same = Forward(batch.logp)
    by = {a: float(PolicyGradient(aggregate=a)(same, batch, context()).loss) for a in ("token", "sequence", "length")}
    assert by == {"token": pytest.approx(-0.75), "sequence": pytest.approx(-1.5), "length": pytest.approx(-0.5)}


def sampled_logits(samples: list[Sample], term: Loss) -> Tensor:
    """The gradient with respect to each log-probability."""
    batch = pack(samples)
    logp = batch.logp.clone().requires_grad_()
    term(Forward(logp, torch.zeros_like(logp)), batch, context()).loss.backward()
    assert logp.grad is not None
    return logp.grad


@pytest.mark.parametrize("term", [PolicyGradient(), KL(0.1), Distill(0.1), CovarianceClip(), CrossEntropy()])
def test_words_of_the_environment_are_never_trained_on(term: Loss) -> None:
    s = sample((5, 6, 7, 8, 9, 4), start=1)
    s.mask[3] = False
    s.reinforce(1.0)
    s.write("ref_logp", -0.5)
    s.write("w_kl", 1.0)
    s.write("w_ce", 1.0)
    moved = sampled_logits([s], term)[0]
    assert moved[3] == 0 and moved[0] == 0


def test_unless_they_carry_a_weight_of_their_own() -> None:
    """Predicting what the environment says is cross-entropy on its tokens."""
    s = sample((5, 6, 7, 8), start=1)
    s.mask[2] = False
    s.write("w_ce", [0, 0, 1, 0])
    moved = sampled_logits([s], CrossEntropy())[0]
    assert moved[2] == -1 and float(moved.abs().sum()) == 1


def test_clipping_by_hand() -> None:
    """Ratio 2: a good token gains no more than 1 + high, a bad one is not clipped. Ratio 1/2: the reverse."""
    cases = [(math.log(2), 1.0, 1.28), (math.log(2), -1.0, -2.0), (-math.log(2), 1.0, 0.5), (-math.log(2), -1.0, -0.8)]
    for moved, adv, gain in cases:
        s = sample((5, 6))
        s.reinforce(adv)
        batch = pack([s])
        logp = (batch.logp + moved * batch.mask).requires_grad_()
        term = PolicyGradient(0.2, 0.28)(Forward(logp), batch, context())
        assert float(term.loss) == pytest.approx(-gain)
        term.loss.backward()
        assert logp.grad is not None
        assert (float(logp.grad.abs().sum()) == 0) == (gain in (1.28, -0.8))


def test_a_sample_may_widen_its_clip() -> None:
    s = sample((5, 6))
    s.reinforce(1.0)
    s.write("wider", 0.1)
    batch = pack([s])
    term = PolicyGradient(0.2, 0.28)(Forward(batch.logp + math.log(2) * batch.mask), batch, context())
    assert float(term.loss) == pytest.approx(-1.38)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=5))
@settings(max_examples=30)
def test_k3_is_never_negative_and_zero_at_home(gaps: list[float]) -> None:
    s = sample((5, *range(6, 6 + len(gaps))))
    s.write("w_kl", 1.0)
    s.write("ref_logp", [0.0, *(g - 1.0 for g in gaps)])
    batch = pack([s])
    loss = float(KL(1.0)(Forward(batch.logp), batch, context()).loss)
    assert loss == pytest.approx(sum(math.exp(g) - 1 - g for g in gaps) / len(gaps), abs=1e-5)
    assert loss > -1e-6


def test_a_teacher_with_the_students_prompt_teaches_nothing() -> None:
    samples = rows()
    for s, scored in zip(samples, actor().score([s.ids for s in samples]), strict=True):
        s.write("ref_logp", scored)
        s.write("w_kl", 1.0)
    loss, moved = gradient(Distill(1.0), samples)
    assert abs(loss) < 1e-6 and float(moved.abs().max()) < 1e-4


def test_terms_do_not_dilute_one_another() -> None:
    """Each divides by its own tokens: imitated rows beside them do not weaken reinforced ones."""
    beside = reinforced(ADV)
    imitated = rows(seed=1)
    for s in imitated:
        s.write("w_ce", 1.0)
    alone = gradient(PolicyGradient(), reinforced(ADV))[0]
    assert alone == pytest.approx(gradient(PolicyGradient(), beside + imitated)[0], abs=1e-6)


def test_covariance_clip_spares_tokens_between_its_bounds() -> None:
    samples = reinforced([3.0, -3.0, 3.0, -3.0])
    batch = pack(samples)
    everything = CovarianceClip(share=1.0, low=-1e9, high=1e9)
    assert float(everything(Forward(batch.logp), batch, context()).loss) == 0
    nothing = CovarianceClip(share=1.0, low=1e8, high=1e9)
    plain = PolicyGradient()(Forward(batch.logp), batch, context())
    assert float(nothing(Forward(batch.logp), batch, context()).loss) == pytest.approx(float(plain.loss))


def test_triplet_by_hand() -> None:
    hidden = torch.tensor([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
    samples = [sample((5, 6), anchor="q") for _ in range(3)]
    for s, kind in zip(samples, (1.0, 2.0, -1.0), strict=True):
        s.write("w_triplet", kind)
    batch = pack(samples)
    forward = Forward(batch.logp, hidden=hidden)
    # near: distance 0; far: distance 1; so margin 1 is just met, and margin 1.5 is missed by 0.5
    assert float(Triplet(1.0, 1.0)(forward, batch, context()).loss) == pytest.approx(0)
    assert float(Triplet(1.0, 1.5)(forward, batch, context()).loss) == pytest.approx(0.5)


def test_info_nce_by_hand() -> None:
    scores = torch.tensor([[1.0, 1.0, 1.0, 1.0], [9.0, 9.0, 9.0, 9.0]])
    positive = torch.tensor([[True, True, False, False], [False] * 4])
    assert float(info_nce(scores, positive, 1.0)) == pytest.approx(
        math.log(2)
    )  # the row without a positive counts nothing


def test_parts_hold_every_sample_once_and_fit() -> None:
    samples = [sample(tuple(range(5, 5 + n))) for n in (3, 9, 4, 30, 2, 5)]
    found = list(parts(samples, 20))
    assert sorted(len(s.ids) for p in found for s in p) == [2, 3, 4, 5, 9, 30]
    assert all(len(p) == 1 or len(p) * max(len(s.ids) for s in p) <= 20 for p in found)


def test_samples_refuse_what_cannot_be() -> None:
    bad: list[Callable[[], Sample]] = [
        lambda: Sample([1, 2], [True, True], [0.0, 0.0], "a"),
        lambda: Sample([1, 2], [False], [0.0, 0.0], "a"),
        lambda: Sample([], [], [], "a"),
        lambda: Sample([1, 2], [False, True], [0.0, math.nan], "a"),
    ]
    for make in bad:
        with pytest.raises(ValueError, match=r"entries|first token|finite"):
            make()
