import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, norm
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from gauntlet.core.errors import GauntletError
from gauntlet.metrics.membership import (
    GRID,
    at_fpr,
    balanced_accuracy,
    best_threshold,
    interval,
    points,
    roc,
    scores,
)

#: Few distinct values, so that most are tied; at least one member and one other.
tied = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({member for _, member in rows}) == 2
)


def arrays(rows):
    values, member = zip(*rows, strict=True)
    return np.array(values, dtype=float), np.array(member)


def sample(n=2000, distance=1.0, seed=0):
    rng = np.random.default_rng(seed)
    member = np.arange(n) % 2 == 0
    return rng.normal(size=n) + distance * member, member


#: Sorted: members at 4 and 3, a tie of one each at 2, another at 1, a member at 0.
VALUES = np.array([2.0, 0.0, 4.0, 1.0, 3.0, 2.0])
MEMBER = np.array([False, True, True, False, True, True])


def test_the_curve_of_a_hand_worked_example():
    curve = roc(VALUES, MEMBER)
    assert curve.thresholds.tolist() == [math.inf, 4, 3, 2, 1, 0]
    assert curve.hits.tolist() == [0, 1, 2, 3, 3, 4]
    assert curve.false_alarms.tolist() == [0, 0, 0, 1, 2, 2]
    # Of 8 pairs the member is above in 2 + 2 + 1 and tied in 1.
    assert curve.auc == pytest.approx(5.5 / 8)
    # Threshold 3: half of the members, no other. Threshold 2: 3 of 4 and 1 of 2.
    assert curve.balanced_accuracy.tolist() == [0.5, 0.625, 0.75, 0.625, 0.375, 0.5]
    assert best_threshold(VALUES, MEMBER) == 2.5


@given(tied)
@settings(deadline=None)
def test_agrees_with_scikit_learn(rows):
    values, member = arrays(rows)
    curve = roc(values, member)
    fpr, tpr, thresholds = roc_curve(member, values, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr)
    np.testing.assert_allclose(curve.tpr, tpr)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    assert curve.auc == pytest.approx(roc_auc_score(member, values))
    for threshold in (-1, 0.5, 1, 2.5, 9):
        assert balanced_accuracy(values, member, threshold) == pytest.approx(
            balanced_accuracy_score(member, values >= threshold)
        )


@given(tied)
@settings(deadline=None)
def test_no_threshold_is_better_than_the_best(rows):
    values, member = arrays(rows)
    reached = balanced_accuracy(values, member, best_threshold(values, member))
    every = [balanced_accuracy(values, member, threshold) for threshold in np.arange(-0.5, 5.5, 0.5)]
    assert reached == pytest.approx(max(every))
    assert reached == pytest.approx(roc(values, member).balanced_accuracy.max())


@given(tied)
@settings(deadline=None)
def test_only_the_order_counts_and_mirrored_values_mirror_the_area(rows):
    values, member = arrays(rows)
    area = roc(values, member).auc
    assert roc(np.exp(values) - 7, member).auc == pytest.approx(area)
    assert roc(-values, member).auc == pytest.approx(1 - area)


def test_a_threshold_may_come_from_other_data():
    values, member = sample(20_000, distance=2)
    others, truth = sample(20_000, distance=2, seed=1)
    threshold = best_threshold(others, truth)
    assert threshold == pytest.approx(1, abs=0.2)  # half way between the means
    found = scores(values, member, threshold)
    assert norm.cdf(1) == pytest.approx(found["accuracy"], abs=0.01)
    assert found["accuracy"] <= found["best_accuracy"]
    assert "accuracy" not in scores(values, member)


def test_neighbouring_values_are_still_told_apart():
    low = 1.0
    values = np.array([low, np.nextafter(low, 2)])
    assert balanced_accuracy(values, np.array([False, True]), best_threshold(values, [False, True])) == 1


def test_two_normal_distributions():
    """AUC Phi(d / sqrt 2), and at a false positive rate a the rate Phi(d - z_a)."""
    values, member = sample(200_000, distance=1.5)
    curve = roc(values, member)
    assert curve.auc == pytest.approx(norm.cdf(1.5 / math.sqrt(2)), abs=0.003)
    for rate in (0.01, 0.001):
        point = at_fpr(curve, rate)
        wanted = norm.cdf(1.5 - norm.isf(rate))
        assert point.fpr.value == pytest.approx(rate)
        # Its threshold rests on few false alarms: their standard error times the slope of the curve.
        z = norm.isf(rate)
        error = norm.pdf(z - 1.5) / norm.pdf(z) * math.sqrt(rate / 100_000)
        assert point.tpr.value == pytest.approx(wanted, abs=4 * error)
        assert point.tpr.interval[0] < point.tpr.value < point.tpr.interval[1]


def test_chance_and_certainty():
    member = np.arange(400) % 2 == 0
    flat, sure = roc(np.zeros(400), member), roc(member.astype(float), member)
    assert (flat.auc, sure.auc) == (0.5, 1)
    assert flat.balanced_accuracy.max() == 0.5
    # A constant finds nobody below a rate of 1; certainty finds everybody at any.
    assert (at_fpr(flat, 0.01).tpr.count, at_fpr(flat, 0.01).threshold) == (0, math.inf)
    assert at_fpr(flat, 1).tpr.value == 1
    assert (at_fpr(sure, 0.01).tpr.value, at_fpr(sure, 0.01).fpr.count) == (1, 0)


def test_a_rate_is_reached_by_whole_groups_of_equal_values():
    # 100 others: 3 at 5, 97 at 0. Members: 4 at 6, 10 at 5, 6 at 0.
    values = np.repeat([5.0, 0.0, 6.0, 5.0, 0.0], [3, 97, 4, 10, 6])
    member = np.repeat([False, True], [100, 20])
    curve = roc(values, member)
    at_two, at_three = at_fpr(curve, 0.02), at_fpr(curve, 0.03)
    assert (at_two.tpr.count, at_two.fpr.count, at_two.threshold) == (4, 0, 6)
    assert (at_three.tpr.count, at_three.fpr.count, at_three.threshold) == (14, 3, 5)


def test_a_rate_below_one_false_alarm_is_not_measurable():
    values, member = sample(198)  # 99 others
    assert at_fpr(roc(values, member), 0.01) is None
    found = scores(values, member)
    assert found["tpr_1"] is None
    assert found["tpr_0.1_high"] is None
    values, member = sample(200)
    found = scores(values, member)
    assert 0 <= found["tpr_1_low"] <= found["tpr_1"] <= found["tpr_1_high"] <= 1
    assert found["fpr_1"] <= 0.01 < found["fpr_1_high"]
    assert found["tpr_0.1"] is None


@pytest.mark.parametrize("rate", [0.29, 0.57, 0.07, 0.58])
def test_rates_are_not_lost_to_rounding(rate):
    """0.29 * 100 is below 29 in floating point."""
    values = np.concatenate([np.arange(100.0), [50.0]])
    member = np.arange(101) == 100
    assert at_fpr(roc(values, member), rate).fpr.count == round(100 * rate)


@given(st.integers(1, 300), st.data(), st.sampled_from([0.9, 0.95, 0.99]))
@settings(deadline=None)
def test_the_interval_is_where_the_exact_tests_stop_rejecting(of, data, confidence):
    count = data.draw(st.integers(0, of))
    low, high = interval(count, of, confidence)
    half = (1 - confidence) / 2
    if count:
        assert binom.sf(count - 1, of, low) == pytest.approx(half)
        assert low == pytest.approx(beta.ppf(half, count, of - count + 1))
    else:
        assert low == 0
    if count < of:
        assert binom.cdf(count, of, high) == pytest.approx(half)
    else:
        assert high == 1


def test_the_interval_of_nothing_in_a_hundred():
    assert interval(0, 100)[1] == pytest.approx(1 - 0.025 ** (1 / 100))


def test_points_of_the_curve_are_those_of_the_rates():
    values, member = sample(3000)
    curve = roc(values, member)
    rates, found = points(curve)
    assert len(rates) <= len(GRID)
    assert rates[0] >= 1 / 1500
    assert (rates[-1], found[-1]) == (1, 1)
    for rate, value in zip(rates, found, strict=True):
        fair = [t for f, t in zip(curve.fpr, curve.tpr, strict=True) if f <= rate + 1e-12]
        assert value == max(fair) == at_fpr(curve, rate).tpr.value
    left_out = GRID[~np.isin(GRID, rates)]
    assert len(left_out)
    assert all(at_fpr(curve, rate) is None for rate in left_out)


@pytest.mark.parametrize(
    ("values", "member", "problem"),
    [
        ([1.0, math.nan], [True, False], "not finite"),
        ([1.0, 2.0], [True, True], "2 members among 2"),
        ([1.0, 2.0], [False, False], "0 members among 2"),
        ([1.0, 2.0], [1, 0], "truth"),
        ([1.0], [True, False], "truth"),
    ],
)
def test_bad_input_is_named(values, member, problem):
    with pytest.raises(GauntletError, match=problem):
        roc(values, member)


@pytest.mark.parametrize("rate", [0, -0.1, 1.1])
def test_a_rate_is_a_share(rate):
    with pytest.raises(GauntletError, match="must be in"):
        at_fpr(roc(VALUES, MEMBER), rate)
