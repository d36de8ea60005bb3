"""Weighted sampling without replacement, and the random numbers that all methods share."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from toy_selection import begun, federation, no_probe, uniforms

from gauntlet.core.errors import GauntletError
from gauntlet.selection.base import sample


def law(weights, k):
    """Set -> its probability when clients are drawn one by one, each by its share of what is left."""
    found = {}
    for order in permutations(range(len(weights)), k):
        left, probability = sum(weights), 1.0
        for client in order:
            probability *= weights[client] / left
            left -= weights[client]
        found[tuple(sorted(order))] = found.get(tuple(sorted(order)), 0) + probability
    return {chosen: probability for chosen, probability in found.items() if probability}


@pytest.mark.parametrize(
    ("weights", "k"),
    [([1, 2, 3, 4], 1), ([1, 2, 3, 4], 2), ([0.05, 0.2, 0.25, 0.5], 3), ([5, 1, 0, 1, 3], 2), ([1] * 5, 3)],
)
def test_sets_have_the_probabilities_of_successive_draws(weights, k):
    expected = law(weights, k)
    assert sum(expected.values()) == pytest.approx(1)
    draws = 1 - np.random.default_rng(7).random((20_000, len(weights)))
    chosen, counts = np.unique([sample(weights, k, row) for row in draws], axis=0, return_counts=True)
    seen = dict(zip(map(tuple, chosen.tolist()), counts, strict=True))
    assert set(seen) <= set(expected)
    observed = [seen.get(subset, 0) for subset in expected]
    assert chisquare(observed, [p * len(draws) for p in expected.values()]).pvalue > 1e-3
    if len(set(weights)) > 1:  # the test can tell these weights from their squares
        other = law([w * w for w in weights], k)
        assert chisquare(observed, [p * len(draws) for p in other.values()]).pvalue < 1e-9


positive = st.floats(1e-6, 1e3)


@st.composite
def draws(draw, weight=positive):
    n = draw(st.integers(1, 8))
    weights = draw(st.lists(weight, min_size=n, max_size=n))
    row = 1 - np.random.default_rng(draw(st.integers(0, 9999))).random(n)
    return np.array(weights), draw(st.integers(0, n)), row


@given(draws())
@settings(deadline=None)
def test_a_sample_has_k_different_clients_in_ascending_order(drawn):
    weights, k, row = drawn
    chosen = sample(weights, k, row)
    assert len(chosen) == k
    assert (np.diff(chosen) > 0).all()
    assert set(chosen.tolist()) <= set(range(len(weights)))


@given(draws(), st.integers(-20, 20))
@settings(deadline=None)
def test_only_ratios_of_weights_matter(drawn, power):
    weights, k, row = drawn
    assert np.array_equal(sample(weights, k, row), sample(weights * 2.0**power, k, row))


@given(draws(), st.integers(0, 7), st.floats(1, 100))
@settings(deadline=None)
def test_more_weight_never_loses_a_place(drawn, client, factor):
    weights, k, row = drawn
    client %= len(weights)
    more = weights.copy()
    more[client] *= factor
    assert client not in sample(weights, k, row) or client in sample(more, k, row)


@given(draws(weight=st.sampled_from([0.0, 0.0, 1e-9, 1.0, 50.0])))
@settings(deadline=None)
def test_a_client_of_weight_zero_is_never_drawn(drawn):
    weights, k, row = drawn
    able = np.flatnonzero(weights)
    if len(able) < k:
        with pytest.raises(GauntletError, match=rf"only {len(able)} of {len(weights)} clients.*; {k} are"):
            sample(weights, k, row)
    else:
        assert set(sample(weights, k, row).tolist()) <= set(able.tolist())


def test_a_uniform_number_of_one_is_allowed():
    assert sample([1, 1, 1], 1, np.array([0.5, 1.0, 0.9])).tolist() == [1]
    assert sample([1, 0, 1], 1, np.array([0.5, 1.0, 0.9])).tolist() == [2]


@pytest.mark.parametrize("bad", [[0, 0, 0], [1, -1, 1], [1, float("nan"), 1], [1, float("inf"), 1]])
def test_weights_that_are_none_are_refused(bad):
    with pytest.raises(GauntletError) as caught:
        sample(bad, 1, np.array([0.2, 0.4, 0.6]))
    assert caught.value.key == "method.options"


@pytest.mark.parametrize("name", ["always", "fedemd", "fedfast", "greedyfed", "never", "svb", "tifl"])
def test_methods_without_a_preference_pick_the_clients_that_random_picks(name):
    """Common random numbers: 20 seeds of a first round in which all clients are alike."""
    told = federation(np.full((12, 4), 30), selected=3)
    for seed in range(20):
        numbers = uniforms(1, 12, seed)
        expected = begun("random", told).select(1, numbers, no_probe)
        assert np.array_equal(begun(name, told).select(1, numbers, no_probe), expected)
        assert np.array_equal(expected, sample(np.ones(12), 3, numbers[0]))
        assert expected.tolist() == sorted(np.argsort(numbers[0])[-3:].tolist())
