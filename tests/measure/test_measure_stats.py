"""The statistics against scipy and statsmodels, against published figures, and by their own laws."""

import itertools
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import statsmodels.stats.contingency_tables
import statsmodels.stats.inter_rater
import statsmodels.stats.multitest
import statsmodels.stats.proportion
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.measure.stats.agreement import cohen_kappa
from prowess.measure.stats.graded import bootstrap_interval, permutation_test
from prowess.measure.stats.multiple import benjamini_hochberg, holm
from prowess.measure.stats.paired import mcnemar_exact, sign_test, tango_interval
from prowess.measure.stats.power import balanced, mcnemar_power, minimum_detectable_effect, pairs_needed
from prowess.measure.stats.proportions import clopper_pearson, clustered, wilson
from prowess.measure.stats.special import beta_cdf, beta_quantile, binomial_cdf

counts = st.integers(0, 60)
p_values = st.lists(st.floats(0, 1), max_size=20)
scores = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=2, max_size=12)


@settings(deadline=None)
@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0, 1))
def test_beta_cdf(a: float, b: float, x: float) -> None:
    assert beta_cdf(a, b, x) == pytest.approx(scipy.special.betainc(a, b, x), rel=1e-9, abs=1e-13)


@settings(deadline=None)
@given(st.floats(0.5, 300), st.floats(0.5, 300), st.floats(0.001, 0.999))
def test_beta_quantile(a: float, b: float, q: float) -> None:
    assert beta_quantile(a, b, q) == pytest.approx(scipy.special.betaincinv(a, b, q), rel=1e-8)


@pytest.mark.parametrize(("k", "n", "p"), [(-1, 5, 0.3), (5, 5, 0.3), (0, 0, 0.5), (40_000, 100_000, 0.4)])
def test_binomial_cdf(k: int, n: int, p: float) -> None:
    assert binomial_cdf(k, n, p) == pytest.approx(scipy.stats.binom.cdf(k, n, p), rel=1e-9)


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.8, 0.95, 0.99]))
def test_proportion_intervals(k: int, n: int, level: float) -> None:
    k = min(k, n)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
        theirs = statsmodels.stats.proportion.proportion_confint(k, n, 1 - level, method)
        assert ours(k, n, level) == pytest.approx(theirs, rel=1e-7, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 3))
def test_clustered_proportions(k: int, clusters: int, size: int) -> None:
    n = clusters * size
    k = min(k, n)
    x = k / size
    low, high = clustered(k, n, clusters)
    assert low == pytest.approx(0 if k == 0 else scipy.stats.beta.ppf(0.025, x, clusters - x + 1), abs=1e-9)
    assert high == pytest.approx(1 if k == n else scipy.stats.beta.ppf(0.975, x + 1, clusters - x), abs=1e-9)
    if size == 1:
        assert (low, high) == clopper_pearson(k, n)


def test_clusters_are_not_empty() -> None:
    assert clustered(0, 0, 0) == (0.0, 1.0)
    with pytest.raises(UserError, match="an empty cluster"):
        clustered(1, 2, 3)


@given(counts, counts)
def test_mcnemar_and_sign_test(wins: int, losses: int) -> None:
    theirs = statsmodels.stats.contingency_tables.mcnemar([[3, wins], [losses, 5]], exact=True).pvalue
    assert mcnemar_exact(wins, losses) == pytest.approx(theirs, rel=1e-9)
    if wins + losses:
        greater = scipy.stats.binomtest(wins, wins + losses, 0.5, "greater").pvalue
        assert mcnemar_exact(wins, losses, "greater") == pytest.approx(greater, rel=1e-9)
    assert mcnemar_exact(wins, losses, "less") == mcnemar_exact(losses, wins, "greater")
    differences = [0.25] * wins + [0.0] * 4 + [-3.0] * losses
    assert sign_test(differences) == mcnemar_exact(wins, losses)


def test_large_samples_are_quick_and_right() -> None:
    assert mcnemar_exact(50_300, 49_700) == pytest.approx(scipy.stats.binomtest(50_300, 100_000).pvalue, rel=1e-6)


def test_tango_against_published_figures() -> None:
    # Airway data of Bentur et al. as worked in Fagerland, Lydersen and Laake (2014): 21 pairs, 1 and 7 discordant.
    assert tango_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


def score_interval_by_likelihood(wins: int, losses: int, n: int, level: float) -> tuple[float, float]:
    """The same interval from its definition: the loss probability is maximised numerically for each difference."""
    z = scipy.stats.norm.ppf((1 + level) / 2)

    def statistic(d: float) -> float:
        def minus_log_likelihood(q: float) -> float:
            chances = (q + d, q, 1 - 2 * q - d)
            return -sum(
                k * math.log(max(c, 1e-300))
                for k, c in zip((wins, losses, n - wins - losses), chances, strict=True)
                if k
            )

        bounds = (max(0.0, -d), (1 - d) / 2)
        q = scipy.optimize.minimize_scalar(
            minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-11}
        ).x
        return (wins - losses - n * d) / math.sqrt(n * (2 * q + d - d * d))

    estimate = (wins - losses) / n
    low = scipy.optimize.brentq(lambda d: statistic(d) - z, -1 + 1e-9, estimate)
    high = scipy.optimize.brentq(lambda d: statistic(d) + z, estimate, 1 - 1e-9)
    return low, high


@pytest.mark.parametrize(("wins", "losses", "n"), [(7, 2, 30), (3, 1, 12), (12, 9, 40), (25, 10, 200)])
def test_tango_against_its_definition(wins: int, losses: int, n: int) -> None:
    assert tango_interval(wins, losses, n) == pytest.approx(
        score_interval_by_likelihood(wins, losses, n, 0.95), abs=1e-4
    )


@given(counts, counts, counts, st.sampled_from([0.8, 0.95]))
def test_tango_laws(wins: int, losses: int, ties: int, level: float) -> None:
    n = wins + losses + ties
    low, high = tango_interval(wins, losses, n, level)
    assert -1 <= low <= high <= 1
    if n:
        assert low <= (wins - losses) / n <= high
        assert low < high, "never of no width"
    assert tango_interval(losses, wins, n, level) == pytest.approx((-high, -low), abs=1e-9)
    wider = tango_interval(wins, losses, n, 0.99)
    assert wider[0] <= low + 1e-9 and wider[1] >= high - 1e-9


@pytest.mark.parametrize(("n", "win", "loss"), [(20, 0.3, 0.1), (40, 0.1, 0.1), (30, 0.05, 0.0), (15, 0.6, 0.05)])
def test_tango_coverage_is_near_its_level(n: int, win: float, loss: float) -> None:
    covered = 0.0
    for w, k in itertools.product(range(n + 1), repeat=2):
        if w + k <= n:
            low, high = tango_interval(w, k, n)
            if low <= win - loss <= high:
                covered += scipy.stats.multinomial.pmf([w, k, n - w - k], n, [win, loss, 1 - win - loss])
    assert covered > 0.92


@settings(deadline=None, max_examples=40)
@given(scores)
def test_exact_permutation(differences: list[float]) -> None:
    data = np.round(np.array(differences), 3)
    for alternative in ("two-sided", "greater", "less"):
        theirs = scipy.stats.permutation_test(
            (data,), np.sum, permutation_type="samples", alternative=alternative, n_resamples=math.inf
        ).pvalue
        assert permutation_test(data.tolist(), alternative) == pytest.approx(theirs, abs=1e-9)


def test_sampled_permutation_is_near_the_exact_one_and_repeats() -> None:
    draw = np.random.default_rng(5)
    data = draw.normal(0.15, 0.4, 40).clip(-1, 1).tolist()
    p = permutation_test(data, seed=1)
    assert p == permutation_test(data, seed=1) != permutation_test(data, seed=2)
    assert p == pytest.approx(scipy.stats.ttest_1samp(data, 0).pvalue, abs=0.02)
    assert permutation_test([1.0] * 40, resamples=999) == 1 / 1000, "never zero"


@pytest.mark.parametrize("values", [[], [0.0, 0.0]])
def test_permutation_of_nothing_says_nothing(values: list[float]) -> None:
    assert permutation_test(values) == 1.0


def test_bootstrap_is_near_scipys() -> None:
    draw = np.random.default_rng(3)
    data = draw.beta(2, 5, 30) - draw.beta(2, 6, 30)
    theirs = scipy.stats.bootstrap((data,), np.mean, method="BCa", rng=1, n_resamples=9999).confidence_interval
    assert bootstrap_interval(data.tolist()) == pytest.approx(tuple(theirs), abs=0.01)


def test_bootstrap_without_variety_is_honest() -> None:
    assert bootstrap_interval([]) == (-1.0, 1.0)
    assert bootstrap_interval([0.5]) == (-1.0, 1.0)
    low, high = bootstrap_interval([0.0] * 50)
    assert low == -high and 0.1 < high < 0.5


@given(scores)
@settings(max_examples=30)
def test_bootstrap_holds_the_mean(differences: list[float]) -> None:
    low, high = bootstrap_interval(differences, resamples=500)
    assert -1 <= low <= high <= 1
    assert low - 0.35 <= float(np.mean(differences)) <= high + 0.35


@settings(max_examples=30, deadline=None)
@given(p_values)
def test_adjusted_p_values(ps: list[float]) -> None:
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        theirs = statsmodels.stats.multitest.multipletests(ps, method=method)[1] if ps else []
        assert ours(ps) == pytest.approx(list(theirs))


@given(counts, counts, counts, counts)
def test_kappa(both: int, first: int, second: int, neither: int) -> None:
    ours = cohen_kappa(both, first, second, neither)
    assert ours.n == both + first + second + neither and ours.agreed == both + neither
    one_answer = ours.n == 0 or both == ours.n or neither == ours.n
    assert (ours.kappa is None) == one_answer
    if ours.kappa is not None:
        theirs = statsmodels.stats.inter_rater.cohens_kappa(np.array([[both, first], [second, neither]]))
        assert ours.kappa == pytest.approx(theirs.kappa, abs=1e-9)
        if theirs.std_kappa > 0:
            assert ours.low == pytest.approx(max(-1, theirs.kappa_low), abs=1e-6)
            assert ours.high == pytest.approx(min(1, theirs.kappa_upp), abs=1e-6)


def test_power_against_known_figures() -> None:
    # Win 64 %, tie 32 %, loss 4 %: a helping skill is certified one time in ten at 5 trials, nine in ten at 15.
    powers = [round(mcnemar_power(n, 0.64, 0.04, alternative="greater"), 2) for n in (5, 10, 15)]
    assert powers == [0.11, 0.72, 0.92]
    assert mcnemar_power(50, 0.3, 0.1, alternative="greater") == pytest.approx(0.68, abs=0.005)


@pytest.mark.parametrize(("n", "win", "loss"), [(12, 0.5, 0.1), (9, 0.2, 0.4), (7, 0.9, 0.0), (5, 1.0, 0.0)])
def test_power_against_enumeration(n: int, win: float, loss: float) -> None:
    expected = sum(
        scipy.stats.multinomial.pmf([w, k, n - w - k], n, [win, loss, 1 - win - loss])
        for w, k in itertools.product(range(n + 1), repeat=2)
        if w + k <= n and mcnemar_exact(w, k) <= 0.05 and (w > k) == (win > loss)
    )
    assert mcnemar_power(n, win, loss) == pytest.approx(expected, abs=1e-9)


def test_minimum_detectable_effect_has_the_power_it_says() -> None:
    for n, loss in ((10, 0.0), (20, 0.05), (60, 0.1)):
        effect = minimum_detectable_effect(n, loss)
        assert effect is not None
        assert mcnemar_power(n, effect + loss, loss) >= 0.8 > mcnemar_power(n, effect + loss - 0.001, loss)
    assert minimum_detectable_effect(5) is None, "five pairs can never reach 0.05 two-sided"
    assert minimum_detectable_effect(10, 0.5) is None


def test_pairs_needed_is_enough() -> None:
    n = pairs_needed(0.3, 0.1)
    assert mcnemar_power(n, 0.3, 0.1) >= 0.8 > mcnemar_power(n - 1, 0.3, 0.1)
    with pytest.raises(UserError, match="no effect to see"):
        pairs_needed(0.2, 0.2)
    with pytest.raises(UserError, match="5,000"):
        pairs_needed(0.201, 0.2)


def test_balanced_is_the_chance_of_a_draw() -> None:
    assert balanced(3, 0.2) == pytest.approx(0.8**3 + 3 * 0.8 * 0.2**2 / 2)
    assert balanced(0, 0.3) == balanced(7, 0.0) == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar_exact(-1, 0),
        lambda: mcnemar_exact(1.5, 0),  # pyright: ignore
        lambda: tango_interval(3, 3, 5),
        lambda: tango_interval(1, 1, 5, 1.0),
        lambda: wilson(3, 2),
        lambda: clopper_pearson(1, 2, math.nan),
        lambda: sign_test([0.1, math.nan]),
        lambda: permutation_test([0.1, math.nan]),
        lambda: permutation_test([math.inf]),
        lambda: bootstrap_interval([0.1, math.nan]),
        lambda: bootstrap_interval([2.0, 0.0]),
        lambda: holm([0.1, math.nan]),
        lambda: benjamini_hochberg([1.2]),
        lambda: mcnemar_power(5, 0.7, 0.4),
        lambda: mcnemar_power(5, math.nan, 0.0),
        lambda: minimum_detectable_effect(5, power=0.0),
        lambda: cohen_kappa(-1, 0, 0, 0),
    ],
)
def test_what_is_no_data_is_refused(call) -> None:
    with pytest.raises(UserError):
        call()


def test_very_many_graded_pairs_agree_with_the_normal_limit() -> None:
    draw = np.random.default_rng(8)
    data = (draw.integers(0, 6, 50_000) - draw.integers(0, 6, 50_000)) / 5 + draw.choice(
        [0, 0.2], 50_000, p=[0.96, 0.04]
    )
    data = data.clip(-1, 1)
    error = float(data.std() / math.sqrt(data.size))
    low, high = bootstrap_interval(data.tolist())
    assert (low, high) == pytest.approx((data.mean() - 1.96 * error, data.mean() + 1.96 * error), abs=0.1 * error)
    p = 2 * scipy.stats.norm.sf(abs(float(data.mean())) / math.sqrt(float((data**2).sum())) * data.size)
    assert permutation_test(data.tolist()) == pytest.approx(p, abs=0.02)


def test_differences_equal_on_paper_are_equal() -> None:
    noisy = [0.6 - 0.4, 0.4 - 0.2, 0.8 - 0.6] * 10 + [-0.2] * 10
    assert permutation_test(noisy) == permutation_test([0.2] * 30 + [-0.2] * 10)
