"""The power note against simulated runs."""

import numpy as np
import pytest
from scipy import stats

from gauntlet.report.claims.evidence import TESTS
from gauntlet.report.claims.power import detectable
from gauntlet.report.claims.statistics import ALPHA, Interval, t_interval

RUNS, NOISE = 20_000, 0.03
TOLERANCE = 4 * np.sqrt(0.8 * 0.2 / RUNS)


def with_noise(seeds: int) -> Interval:
    """The interval of seeds whose standard deviation is that of the simulation."""
    return Interval(0.0, stats.t.ppf(0.975, seeds - 1) * NOISE / np.sqrt(seeds), seeds)


@pytest.mark.parametrize("seeds", [2, 5, 20])
@pytest.mark.parametrize(("side", "margin", "sign"), [("above", 0.1, 1), ("below", -0.1, -1)])
def test_the_effect_is_shown_in_four_of_five_runs(seeds, side, margin, sign):
    effect = detectable(with_noise(seeds), side, margin)
    draws = np.random.default_rng(seeds).normal(effect, NOISE, (RUNS, seeds))
    assert np.mean(TESTS["t"](sign * (draws - margin)) <= ALPHA) == pytest.approx(0.8, abs=TOLERANCE)


@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_the_tie_is_shown_in_four_of_five_runs_without_an_effect(seeds):
    margin = detectable(with_noise(seeds), "within", 0.5)
    draws = np.random.default_rng(seeds).normal(0, NOISE, (RUNS, seeds))
    p = np.maximum(TESTS["t"](draws + margin), TESTS["t"](margin - draws))
    assert np.mean(p <= ALPHA) == pytest.approx(0.8, abs=TOLERANCE)


def test_with_many_seeds_it_is_the_textbook_sum_of_normal_quantiles():
    seeds = 2000
    error = NOISE / np.sqrt(seeds)
    expected = error * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    assert detectable(with_noise(seeds), "above", 0) == pytest.approx(expected, rel=1e-3)
    assert detectable(with_noise(seeds), "within", 1) == pytest.approx(
        error * (stats.norm.ppf(0.975) + stats.norm.ppf(0.9)), rel=1e-3
    )


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3]])
def test_without_spread_there_is_nothing_to_go_by(values):
    assert detectable(t_interval(values), "above", 0) is None
