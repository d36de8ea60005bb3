"""The tests beside a verdict: against scipy and enumeration, and their error rates on simulated seeds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gauntlet.report.claims.evidence import TESTS, bootstrap, decide_by, paired_tests, resolution
from gauntlet.report.claims.statistics import ALPHA, decide, t_interval

#: Differences of scores that are counts: ties and zeros are common.
counts = st.lists(st.integers(-6, 9).map(lambda k: k / 10), min_size=3, max_size=7).filter(
    lambda values: np.ptp(values) > 0
)


def tolerance(rate: float, runs: int) -> float:
    return 4 * np.sqrt(rate * (1 - rate) / runs)


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=8).filter(lambda values: np.std(values) > 1e-3),
    st.sampled_from(["above", "below", "within"]),
    st.floats(0.01, 0.9),
)
def test_the_rule_on_intervals_is_the_t_test_at_both_sides_of_the_margin(values, side, margin):
    """And for a tie it is TOST: both one-sided p-values are at most 2.5%."""
    p = paired_tests(values, side, margin)["t"]
    assert decide(t_interval(values), side, margin).verdict == decide_by(p, len(values)).verdict
    asked = {
        "above": [("greater", margin)],
        "below": [("less", margin)],
        "within": [("greater", -margin), ("less", margin)],
    }
    reference = [stats.ttest_1samp(values, at, alternative=end).pvalue for end, at in asked[side]]
    assert list(p["bounds"].values()) == pytest.approx(reference, abs=1e-9)
    assert p["holds"] == max(p["bounds"].values())


def test_t_is_the_paired_t_test_of_scipy():
    first, second = np.random.default_rng(0).normal(0.5, 0.1, (2, 7))
    for side, alternative in (("above", "greater"), ("below", "less")):
        p = paired_tests(first - second, side, 0)["t"]
        assert p["holds"] == pytest.approx(stats.ttest_rel(first, second, alternative=alternative).pvalue)
        assert p["fails"] == pytest.approx(1 - p["holds"])


@settings(max_examples=40)
@given(counts)
def test_signed_ranks_are_scipys_with_ties_and_zeros(values):
    with np.errstate(invalid="ignore"):
        expected = stats.wilcoxon(values, alternative="greater").pvalue
    assert paired_tests(values, "above", 0)["wilcoxon"]["holds"] == pytest.approx(expected)


@settings(max_examples=40)
@given(counts, st.sampled_from([-0.2, 0.1]))
def test_sign_flips_are_all_those_there_are(values, margin):
    away = np.asarray(values) - margin
    means = [np.mean(away * signs) for signs in itertools.product([-1, 1], repeat=len(away))]
    found = paired_tests(values, "above", margin)["permutation"]
    assert found["holds"] == pytest.approx(np.mean([mean >= away.mean() - 1e-12 for mean in means]))
    assert found["fails"] == pytest.approx(np.mean([mean <= away.mean() + 1e-12 for mean in means]))


def test_a_tie_by_hand():
    """Effects 1 and 3 about 2, margin 4: mean 2, standard error 1, t = 6 and 2 with one degree of freedom."""
    p = paired_tests([1.0, 3.0], "within", 4)["t"]
    cauchy = {t: 0.5 - np.arctan(t) / np.pi for t in (6, 2)}  # t with one degree of freedom
    assert p["bounds"] == {"above -4": pytest.approx(cauchy[6]), "below 4": pytest.approx(cauchy[2])}
    assert p["holds"] == pytest.approx(cauchy[2])
    assert p["fails"] == pytest.approx(1 - cauchy[2])


@pytest.mark.parametrize(("value", "holds", "fails"), [(0.2, 0.0, 1.0), (0.1, 1.0, 1.0), (0.0, 1.0, 0.0)])
def test_seeds_that_agree_exactly_have_the_p_of_the_rule(value, holds, fails):
    p = paired_tests([value] * 5, "above", 0.1)
    assert (p["t"]["holds"], p["t"]["fails"]) == (holds, fails)
    assert p["permutation"]["holds"] == (1 / 32 if holds == 0 else 1)


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4]])
def test_what_decides_nothing_is_not_tested(values):
    assert paired_tests(values, "above", 0) == {}
    assert bootstrap(values) is None


RUNS = 20_000


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_t_is_wrong_at_the_margin_as_often_as_stated(seeds):
    p = TESTS["t"](np.random.default_rng(1).normal(0, 0.03, (RUNS, seeds)))
    assert np.mean(p <= ALPHA) == pytest.approx(ALPHA, abs=tolerance(ALPHA, RUNS))


@pytest.mark.parametrize("name", ["wilcoxon", "permutation"])
@pytest.mark.parametrize(("seeds", "rate"), [(5, 0), (6, 1 / 64), (7, 3 / 128)])
def test_tests_on_signs_are_wrong_at_the_margin_as_often_as_their_steps_allow(name, seeds, rate):
    """p has steps of 2^-n, and is at most 2.5% for the largest whole number of them. They need differences
    that are symmetric about the margin, not normal ones."""
    runs = 4000
    p = TESTS[name](np.random.default_rng(2).laplace(0, 0.03, (runs, seeds)))
    assert np.mean(p <= ALPHA) == pytest.approx(rate, abs=tolerance(rate, runs))


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_a_tie_is_declared_at_its_margin_as_rarely_as_stated(noise):
    """TOST: 2.5% where the margin is wide for the noise, and less where it is not."""
    draws = np.random.default_rng(3).normal(0.1, noise, (RUNS, 5))
    p = np.maximum(TESTS["t"](draws + 0.1), TESTS["t"](0.1 - draws))
    rate = np.mean(p <= ALPHA)
    if noise == 0.02:
        assert rate == pytest.approx(ALPHA, abs=tolerance(ALPHA, RUNS))
    assert rate <= ALPHA + tolerance(ALPHA, RUNS)


@pytest.mark.parametrize(("seeds", "stated"), [(5, 0.83), (20, 0.93)])
def test_the_bootstrap_covers_what_the_documentation_says(seeds, stated):
    """Far less than 95% with five seeds."""
    runs = 500
    draws = np.random.default_rng(4).normal(0.1, 0.03, (runs, seeds))
    covered = [low <= 0.1 <= high for low, high in map(bootstrap, draws)]
    assert np.mean(covered) == pytest.approx(stated, abs=tolerance(stated, runs))


def test_the_bootstrap_is_about_the_t_interval_of_many_seeds():
    values = np.random.default_rng(5).normal(0.1, 0.03, 200)
    interval = t_interval(values.tolist())
    assert bootstrap(values) == pytest.approx([interval.low, interval.high], abs=5e-4)
    assert bootstrap(values) == bootstrap(values)


@pytest.mark.parametrize(("seeds", "least"), [(2, "0.25 (0.5"), (5, "0.0312 (0.0625"), (6, None), (1, None)])
def test_what_few_seeds_cannot_show_is_said(seeds, least):
    said = resolution(seeds)
    assert (f"cannot go below p = {least} two-sided)" in said) if least else not said
    if seeds > 1:
        best = paired_tests(np.arange(1, seeds + 1) / 10, "above", 0)["wilcoxon"]["holds"]
        assert best == 0.5**seeds
        assert (best > ALPHA) == bool(least)
