"""Shapley values against all orders of joining, their axioms, influence and fairness."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.metrics.shapley import coalitions, fairness, influence, shapley

number = st.floats(-100, 100)


def mask(players):
    return sum(1 << player for player in players)


def brute(values, players):
    """The mean gain at joining, over all orders of joining."""
    orders = list(permutations(range(players)))
    found = np.zeros(players)
    for order in orders:
        for position, player in enumerate(order):
            found[player] += values[mask(order[: position + 1])] - values[mask(order[:position])]
    return found / len(orders)


@st.composite
def games(draw, most=5):
    players = draw(st.integers(1, most))
    return np.array(draw(st.lists(number, min_size=2**players, max_size=2**players))), players


def test_coalitions_are_bit_masks():
    assert coalitions(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    inside = coalitions(5)
    assert inside.shape == (32, 5)
    assert [mask(np.flatnonzero(row)) for row in inside] == list(range(32))


@given(games())
@settings(deadline=None)
def test_equals_the_mean_over_all_orders(game):
    values, players = game
    np.testing.assert_allclose(shapley(values), brute(values, players), atol=1e-10)


@given(games(most=8))
@settings(deadline=None)
def test_all_shares_add_up_to_the_gain_of_everyone(game):
    values, players = game
    assert shapley(values).shape == (players,)
    assert shapley(values).sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


@given(games(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_renaming_players_renames_their_values(game, random):
    values, players = game
    order = random.sample(range(players), players)
    renamed = np.empty_like(values)
    for coalition in range(2**players):
        renamed[mask(order[p] for p in range(players) if coalition >> p & 1)] = values[coalition]
    np.testing.assert_allclose(shapley(renamed)[order], shapley(values), atol=1e-10)
    np.testing.assert_allclose(influence(renamed)[order], influence(values), atol=1e-10)


@given(games(), number)
@settings(deadline=None)
def test_a_player_who_adds_the_same_to_everyone_gets_that(game, gain):
    """A dummy: joined to a game of the others, which keeps its values."""
    values, _ = game
    joined = np.concatenate([values, values + gain])
    np.testing.assert_allclose(shapley(joined), [*shapley(values), gain], atol=1e-9)
    assert influence(joined)[-1] == pytest.approx(gain, abs=1e-9)


@given(games(), number, number, st.integers(0, 99))
@settings(deadline=None)
def test_values_of_mixed_games_are_mixed_values(game, a, b, seed):
    values, _ = game
    other = np.random.default_rng(seed).normal(size=len(values))
    expected = a * shapley(values) + b * shapley(other)
    np.testing.assert_allclose(shapley(a * values + b * other), expected, atol=1e-8)


def test_the_glove_game():
    """One left glove, two right ones, a pair is worth 1."""
    values = [float(bool(c & 1) and bool(c & 6)) for c in range(8)]
    assert shapley(values) == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert influence(values) == pytest.approx([1, 0, 0])


@given(games())
@settings(deadline=None)
def test_influence_is_what_ones_absence_costs(game):
    values, players = game
    everyone = set(range(players))
    expected = [values[mask(everyone)] - values[mask(everyone - {player})] for player in range(players)]
    assert influence(values).tolist() == expected


def test_sixteen_players_are_the_most():
    assert len(coalitions(16)) == 65_536
    for players in (0, 17):
        with pytest.raises(GauntletError) as caught:
            coalitions(players)
        assert caught.value.key == "train.selected"


@pytest.mark.parametrize(
    "values", [[], [1.0], [1.0, 2.0, 3.0], np.ones((2, 2)), [0.0, float("nan")], [0.0, float("inf")]]
)
@pytest.mark.parametrize("score", [shapley, influence])
def test_values_that_are_no_game_are_refused(values, score):
    with pytest.raises(GauntletError):
        score(values)


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.integers(1, 1000)), min_size=1, max_size=6), st.floats(0.1, 50)
)
@settings(deadline=None)
def test_fairness_is_one_where_contributions_are_proportional_to_data(pairs, unit):
    samples = np.array([size for _, size in pairs])
    assert fairness(unit * samples, samples) == pytest.approx(np.ones(len(pairs)))
    contributions = np.array([value for value, _ in pairs])
    utility = fairness(contributions, samples)
    for k, found in enumerate(utility):
        q, rc = samples[k] / sum(samples), contributions[k] / sum(contributions)
        assert found == pytest.approx(1 - abs(q - rc))
    assert ((utility > 0) & (utility <= 1)).all()


def test_fairness_by_hand():
    """A Maverick with half of the data whose contribution is an average one."""
    assert fairness([0.2] * 5, [600, 150, 150, 150, 150]) == pytest.approx([0.7] + [0.925] * 4)
    assert fairness([0.3, -0.1], [1, 1]) == pytest.approx([0, 0])  # shares 1.5 and -.5
    assert np.isnan(fairness([0.5, -0.5], [1, 1])).all()
