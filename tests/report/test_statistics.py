"""The kernel against scipy, against simulated truth, and every branch of the rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gauntlet.report.claims.statistics import (
    Interval,
    Reach,
    decide,
    decide_reach,
    reach,
    restricted_mean,
    t_interval,
)

numbers = st.lists(st.floats(-1, 1), min_size=2, max_size=12)


@given(numbers)
def test_interval_is_scipys(values):
    ours = t_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    if np.std(values) < 1e-9:  # scipy gives NaN for a zero scale
        assert ours.half_width == pytest.approx(0, abs=1e-7)
    else:
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-9)


def test_interval_agrees_with_the_paired_t_test():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.6, 0.1, 7), rng.normal(0.5, 0.1, 7)
    low, high = stats.ttest_rel(first, second).confidence_interval(0.95)
    ours = t_interval((first - second).tolist())
    assert (ours.low, ours.high) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [[], [0.1, float("nan")], [float("inf"), 0.0]])
def test_interval_refuses_what_it_cannot_use(values):
    with pytest.raises(ValueError, match="finite"):
        t_interval(values)


@pytest.mark.parametrize(
    ("mean", "half", "side", "margin", "verdict", "smallest"),
    [
        (0.3, 0.1, "above", 0.1, "holds", 0.2),
        (0.0, 0.05, "above", 0.1, "fails", 0.15),
        (0.1, 0.05, "above", 0.1, "undecided", 0.15),
        (-0.3, 0.1, "below", -0.1, "holds", -0.2),
        (0.2, 0.1, "below", -0.1, "fails", -0.2),
        (-0.1, 0.05, "below", -0.1, "undecided", -0.15),
        (0.0, 0.01, "within", 0.02, "holds", 0.01),
        (0.1, 0.01, "within", 0.02, "fails", 0.01),
        (-0.1, 0.01, "within", 0.02, "fails", 0.01),
        (0.01, 0.02, "within", 0.02, "undecided", 0.02),
        (0.0, 0.5, "within", 0.02, "undecided", 0.5),
    ],
)
def test_the_rule(mean, half, side, margin, verdict, smallest):
    decision = decide(Interval(mean, half, 5), side, margin)
    assert decision.verdict == verdict
    assert decision.smallest == pytest.approx(smallest)


def test_one_seed_is_undecided_and_says_so():
    decision = decide(t_interval([0.9]), "above", 0.0)
    assert (decision.verdict, decision.smallest) == ("undecided", None)
    assert "one seed" in decision.reason


@pytest.mark.parametrize(("value", "verdict"), [(0.2, "holds"), (0.1, "undecided"), (0.0, "fails")])
def test_seeds_that_agree_exactly(value, verdict):
    decision = decide(t_interval([value] * 5), "above", 0.1)
    assert decision.verdict == verdict
    assert "same value" in decision.reason


def test_two_seeds_that_agree_exactly_decide_nothing():
    decision = decide(t_interval([0.2, 0.2]), "above", 0.1)
    assert decision.verdict == "undecided"
    assert "two seeds" in decision.reason


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("side", ["above", "below"])
def test_wrong_verdicts_at_the_margin_are_as_rare_as_promised(seeds, side):
    """True effect exactly at the margin: holds in 2.5%, fails in 2.5% (20,000 simulated studies)."""
    rng = np.random.default_rng(7)
    count = 20_000
    verdicts = [
        decide(t_interval(row), side, 0.1).verdict for row in rng.normal(0.1, 0.03, (count, seeds)).tolist()
    ]
    tolerance = 4 * np.sqrt(0.025 * 0.975 / count)
    assert verdicts.count("holds") / count == pytest.approx(0.025, abs=tolerance)
    assert verdicts.count("fails") / count == pytest.approx(0.025, abs=tolerance)


def test_a_tie_is_rarely_declared_when_the_effect_is_at_the_margin():
    rng = np.random.default_rng(8)
    verdicts = [
        decide(t_interval(row), "within", 0.1).verdict for row in rng.normal(0.1, 0.02, (5000, 5)).tolist()
    ]
    assert verdicts.count("holds") / 5000 <= 0.025 + 0.009


def test_power_grows_with_seeds():
    rng = np.random.default_rng(9)
    power = [
        np.mean(
            [
                decide(t_interval(row), "above", 0).verdict == "holds"
                for row in rng.normal(0.03, 0.03, (800, n))
            ]
        )
        for n in (3, 5, 10)
    ]
    assert power == sorted(power)
    assert power[-1] > 0.7


def test_reach_finds_the_first_round_and_censors_at_the_horizon():
    assert reach([1, 2, 3], [0.1, 0.6, 0.5], 0.5, horizon=3) == Reach(2, False)
    assert reach([1, 2, 3], [0.1, 0.2, 0.3], 0.5, horizon=3) == Reach(3, True)
    assert reach([1, 2, 3], [0.1, 0.2, 0.9], 0.5, horizon=2) == Reach(2, True)
    assert reach([1, 2, 3], [0.9, 0.4, 0.1], 0.5, horizon=3, side="below") == Reach(2, False)
    with pytest.raises(ValueError, match="increase"):
        reach([1, 1], [0, 0], 0.5, horizon=2)


def test_a_run_that_stopped_early_is_not_censored_at_the_horizon():
    with pytest.raises(ValueError, match="ends at round 3, before the horizon 9"):
        reach([1, 2, 3], [0.1, 0.2, 0.3], 0.5, horizon=9)
    with pytest.raises(ValueError, match="before the horizon 9"):
        reach([], [], 0.5, horizon=9)
    assert reach([1, 2, 3], [0.1, 0.6, 0.3], 0.5, horizon=9) == Reach(2, False)


def times(*rounds, horizon=20):
    return [Reach(min(r, horizon), r > horizon) for r in rounds]


NEVER = 99


def test_reach_differences_go_through_the_rule():
    first, second = times(5, 6, 7, 6, NEVER), times(15, 17, 16, 14, NEVER)
    interval, decision = decide_reach(first, second, "below", 0)
    assert interval == t_interval([-10, -11, -9, -8, 0])
    assert decision == decide(interval, "below", 0)
    assert decision.verdict == "holds"
    close = times(6, 6, 8, 6, NEVER)
    assert decide_reach(first, close, "within", 2)[1].verdict == "holds"
    with pytest.raises(ValueError, match="shorter"):
        decide_reach(first, second[:3], "within", 2)


@pytest.mark.parametrize(
    ("side", "margin", "verdict"),
    [
        ("within", 2, "undecided"),
        ("below", 2, "undecided"),  # "no slower by 2": the zeros would carry it
        ("above", -2, "undecided"),
        ("above", 2, "undecided"),  # nor do they show that it is not slower
    ],
)
def test_pairs_that_are_censored_on_both_sides_prove_nothing(side, margin, verdict):
    first, second = times(5, 6, NEVER, NEVER, NEVER), times(5, 6, NEVER, NEVER, NEVER)
    assert decide(t_interval([0] * 5), side, margin).verdict != verdict
    decision = decide_reach(first, second, side, margin)[1]
    assert (decision.verdict, decision.smallest) == (verdict, None)
    assert "3 of 5 pairs" in decision.reason


def test_half_is_enough_and_one_censored_side_is_information():
    first = times(5, 6, NEVER, NEVER)
    assert decide_reach(first, first, "within", 2)[1].verdict == "undecided"
    assert decide_reach(first[:3], first[:3], "within", 2)[1].verdict == "holds"
    # One side reaches it, the other never: the difference is real, and larger than it looks.
    late, never = times(3, 4, 3, 5), times(NEVER, NEVER, NEVER, NEVER)
    assert decide_reach(late, never, "below", -5)[1].verdict == "holds"
    assert decide_reach(late, never, "within", 2)[1].verdict == "fails"


def test_censored_pairs_do_not_hide_a_difference():
    """Zeros only pull the difference towards 0: a verdict away from it stays."""
    first, second = times(*[5] * 10, *[NEVER] * 10), times(*[15] * 10, *[NEVER] * 10)
    assert decide_reach(first, second, "below", 0)[1].verdict == "holds"


def test_restricted_mean_is_the_area_under_the_survival_curve():
    """RMST = integral of S(t) up to the horizon, computed here from its definition."""
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 30, 40).astype(float)
    horizon = 20.0
    times = []
    for t in truth:
        rounds = np.arange(1, 41)
        times.append(reach(rounds.tolist(), (rounds >= t).tolist(), 1, horizon))
    interval, censored = restricted_mean(times)
    area = sum(np.mean(truth > t) for t in range(int(horizon)))
    assert interval.mean == pytest.approx(area)
    assert censored == np.sum(truth > horizon)
