"""The other selection methods, worked by hand, and what all of them owe to a resumed run."""

import io
from collections import Counter

import numpy as np
import pytest
import torch
from toy_selection import begun, federation, maverick_histograms, no_probe, paper, uniforms

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names
from gauntlet.selection.base import Report

METHODS = names("selection")


def report(round, clients, accuracies=None, shapley=None):
    clients = np.array(clients)

    def array(values):
        return None if values is None else np.array(values, dtype=float)

    return Report(round, clients, np.ones(len(clients)), array(accuracies), array(shapley))


def even(clients=6, selected=2):
    return federation(np.full((clients, 3), 10), selected)


def losses(clients, images):
    """The model does worst on the clients of the highest numbers."""
    return np.array(clients, dtype=float)


def test_the_methods_are_there():
    assert set(METHODS) == {
        "always", "fedemd", "fedfast", "greedyfed", "never", "power_of_choice", "random", "svb", "tifl"
    }  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("mavericks", [1, 2, 3])
def test_every_round_has_k_different_clients_in_ascending_order(name, mavericks):
    told = paper(clients=20, mavericks=mavericks)
    method, seen = begun(name, told), set()
    for round in range(1, 16):
        chosen = method.select(round, uniforms(round, 20), losses)
        assert chosen.shape == (5,)
        assert (np.diff(chosen) > 0).all()
        assert set(chosen.tolist()) <= set(range(20))
        seen |= set(chosen.tolist())
        if method.drawn is not None:
            assert method.drawn.shape == (20,)
        method.observe(
            report(round, chosen, *uniforms(round, 5, seed=9)) if method.needs else report(round, chosen)
        )
    assert len(seen) > 5


def test_random_draws_everyone_equally_often():
    method = begun("random", even(8, 3))
    counts = Counter(c for t in range(4000) for c in method.select(t, uniforms(t, 8), no_probe).tolist())
    assert sum(counts.values()) == 12_000
    assert [counts[client] / 4000 for client in range(8)] == pytest.approx([3 / 8] * 8, abs=0.03)
    assert method.drawn == pytest.approx([1 / 8] * 8)


@pytest.mark.parametrize("mavericks", [1, 3])
def test_always_has_every_maverick_and_uniform_others(mavericks):
    method = begun("always", paper(clients=12, mavericks=mavericks))
    owners, counts = set(range(12 - mavericks, 12)), Counter()
    for t in range(3000):
        chosen = set(method.select(t, uniforms(t, 12), no_probe).tolist())
        assert owners <= chosen
        counts.update(chosen - owners)
    share = (5 - mavericks) / (12 - mavericks)
    assert [counts[c] / 3000 for c in range(12 - mavericks)] == pytest.approx([share] * len(counts), abs=0.04)


def test_never_has_no_maverick_and_uniform_others():
    method, counts = begun("never", paper(clients=12, mavericks=2)), Counter()
    for t in range(3000):
        counts.update(method.select(t, uniforms(t, 12), no_probe).tolist())
    assert set(counts) == set(range(10))
    assert [counts[client] / 3000 for client in range(10)] == pytest.approx([0.5] * 10, abs=0.04)
    assert method.drawn == pytest.approx([0.1] * 10 + [0, 0])


def test_rounds_of_mavericks_alone_are_possible_but_not_fewer():
    told = paper(clients=12, mavericks=3, selected=3)
    assert begun("always", told).select(1, uniforms(1, 12), no_probe).tolist() == [9, 10, 11]
    with pytest.raises(GauntletError) as caught:
        begun("always", paper(clients=12, mavericks=3, selected=2))
    assert caught.value.key == "train.selected"


def test_never_needs_enough_others():
    method = begun("never", paper(clients=5, mavericks=3, selected=3))
    with pytest.raises(GauntletError, match="only 2 of 5 clients"):
        method.select(1, uniforms(1, 5), no_probe)


def test_tifl_favours_low_accuracy():
    method = begun("tifl", even(4), unknown=0.5, floor=0.1)
    assert method.weights(1) == pytest.approx([1 / 4] * 4)
    method.observe(report(1, [0, 2], accuracies=[1.0, 0.25]))
    assert method.weights(2) == pytest.approx(np.array([1, 2, 4, 2]) / 9)
    method.observe(report(2, [0, 3], accuracies=[0.5, 0.0]))  # 0 counts as the floor
    assert method.weights(3) == pytest.approx(np.array([2, 2, 4, 10]) / 18)
    assert method.needs == {"accuracies"}


def test_svb_runs_a_mean_of_relative_shapley_values():
    method = begun("svb", even(4, 2), rate=0.5, floor=0.1)
    assert method.weights(1).tolist() == [0.5] * 4
    method.observe(report(1, [0, 2], shapley=[0.3, 0.1]))  # shares 3/4, 1/4
    assert method.weights(2) == pytest.approx([0.625, 0.5, 0.375, 0.5])
    method.observe(report(2, [1, 2], shapley=[0.2, -0.4]))  # what harms counts 0: shares 1, 0
    assert method.weights(3) == pytest.approx([0.625, 0.75, 0.1875, 0.5])
    method.observe(report(3, [2, 3], shapley=[-0.1, 0.0]))  # nobody helped: nothing is learned
    assert method.weights(4) == pytest.approx([0.625, 0.75, 0.1875, 0.5])
    method.observe(report(4, [2, 3], shapley=[-0.1, 0.5]))
    assert method.weights(5) == pytest.approx([0.625, 0.75, 0.1, 0.75])  # the floor
    method.observe(report(5, [2, 3], shapley=[0.5, 0.5]))  # the mean went on below it: .09375 -> .296875
    assert method.weights(6) == pytest.approx([0.625, 0.75, 0.296875, 0.625])
    assert method.needs == {"shapley"}


def test_svb_draws_by_its_weights():
    method, counts = begun("svb", even(3, 1), floor=0.01), Counter()
    method.relative = np.array([0.6, 0.3, 0.1])
    for t in range(4000):
        counts.update(method.select(t, uniforms(t, 3), no_probe).tolist())
    assert [counts[client] / 4000 for client in range(3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_svb_as_released_has_constants_for_weights():
    method = begun("svb", paper(mavericks=2), svb_mode="released")
    assert not method.needs
    drawn = []
    for t in range(1, 40):
        numbers = uniforms(t)
        method.select(t, numbers, no_probe)
        assert method.drawn[48:].tolist() == [0.015, 0.015]
        assert np.allclose(method.drawn[:48], 0.0201 + 0.001 * numbers[1, :48], rtol=0, atol=1e-15)
        drawn.append(method.drawn[:48])
        method.observe(report(t, [0, 1], shapley=[1.0, 0.0]))
    assert np.min(drawn) >= 0.0201
    assert np.max(drawn) <= 0.0211
    assert np.ptp(drawn) > 0.0009


@pytest.mark.parametrize("mavericks", [1, 2])
def test_fedfast_has_the_cluster_of_every_maverick_in_every_round(mavericks):
    """Mavericks are far from everyone: a cluster each, one client of each cluster, the others in turn."""
    histograms = maverick_histograms(30, mavericks=mavericks)
    histograms[:10, 3] += 40
    histograms[10:20, 4] += 60
    told = federation(histograms, selected=4)
    method, owners = begun("fedfast", told), set(range(30 - mavericks, 30))
    counts = Counter()
    for t in range(200):
        chosen = method.select(t, uniforms(t, 30), no_probe).tolist()
        assert owners <= set(chosen)
        assert len({*method.clusters[chosen]}) == 4
        counts.update(chosen)
    assert all(np.sum(method.clusters == method.clusters[owner]) == 1 for owner in owners)
    assert len(counts) == 30
    assert method.drawn is None


def test_fedfast_draws_uniformly_within_a_cluster_and_fills_up_uniformly():
    histograms = np.array([[50, 0]] * 2 + [[0, 50]] * 4)
    method, counts = begun("fedfast", federation(histograms, selected=3)), Counter()
    assert method.clusters[0] == method.clusters[1] != method.clusters[2]
    assert len(set(method.clusters[2:].tolist())) == 1
    for t in range(3000):
        counts.update(method.select(t, uniforms(t, 6), no_probe).tolist())
    # one of each cluster, then one of the four others: 1/2 + 1/2 * 1/4, and 1/4 + 3/4 * 1/4
    expected = [1 / 2 + 1 / 8] * 2 + [1 / 4 + 3 / 16] * 4
    assert [counts[client] / 3000 for client in range(6)] == pytest.approx(expected, abs=0.03)


def test_power_of_choice_takes_the_candidates_of_highest_loss():
    told, asked = even(6, 2), []

    def probe(clients, images):
        asked.append((clients.tolist(), images))
        return np.array([{0: 5, 1: 4, 2: 3, 3: 2, 4: 1, 5: 6}[client] for client in clients.tolist()])

    numbers = np.array([[0.1, 0.2, 0.9, 0.8, 0.7, 0.6], [1.0] * 6])
    chosen = begun("power_of_choice", told, candidates=4, images=7).select(1, numbers, probe)
    assert asked == [([2, 3, 4, 5], 7)]
    assert chosen.tolist() == [2, 5]
    assert begun("power_of_choice", told).select(1, numbers, probe).tolist() == [2, 5]
    assert asked[1] == ([2, 3, 4, 5], None)  # 2K candidates, all their images
    assert begun("power_of_choice", told, candidates=99).select(1, numbers, probe).tolist() == [0, 5]
    assert begun("power_of_choice", told, candidates=2).select(1, numbers, probe).tolist() == [2, 3]


def test_power_of_choice_draws_candidates_by_their_number_of_images():
    told, counts = federation([[6, 0], [0, 3], [1, 0]], selected=1), Counter()
    method = begun("power_of_choice", told, candidates=1)
    for t in range(4000):
        counts.update(method.select(t, uniforms(t, 3), losses).tolist())
    assert [counts[client] / 4000 for client in range(3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def numbers(*first):
    return np.array([first, [0.5] * len(first)])


def test_greedyfed_sees_everyone_once_and_then_the_best():
    method = begun("greedyfed", even(5, 2))
    assert method.select(1, numbers(0.1, 0.9, 0.3, 0.8, 0.2), no_probe).tolist() == [1, 3]
    method.observe(report(1, [1, 3], shapley=[0.5, -0.2]))
    assert method.select(2, numbers(0.1, 0.9, 0.3, 0.8, 0.2), no_probe).tolist() == [2, 4]
    method.observe(report(2, [2, 4], shapley=[0.1, 0.4]))
    assert method.select(3, numbers(0.1, 0.2, 0.3, 0.8, 0.9), no_probe).tolist() == [0, 1]  # 0, and the best
    method.observe(report(3, [0, 1], shapley=[0.0, 0.1]))  # client 1: the mean of .5 and .1
    assert method.select(4, numbers(0.1, 0.2, 0.3, 0.8, 0.9), no_probe).tolist() == [1, 4]  # .3, .4
    method.observe(report(4, [1, 4], shapley=[-0.9, -0.4]))  # means of .5, .1, -.9 and of .4, -.4
    assert method.value == pytest.approx([0, -0.1, 0.1, -0.2, 0])
    assert method.select(5, numbers(0.1, 0.9, 0.3, 0.8, 0.2), no_probe).tolist() == [2, 4]  # ties at random
    assert method.select(6, numbers(0.9, 0.1, 0.3, 0.8, 0.2), no_probe).tolist() == [0, 2]


def test_greedyfed_may_forget_exponentially():
    method = begun("greedyfed", even(3, 1), memory=0.75)
    method.observe(report(1, [1], shapley=[0.8]))
    assert method.value[1] == pytest.approx(0.8)
    method.observe(report(2, [1], shapley=[0.0]))
    assert method.value[1] == pytest.approx(0.6)
    method.observe(report(3, [1], shapley=[1.0]))
    assert method.value[1] == pytest.approx(0.7)


def test_greedyfed_does_not_wait_for_a_client_whose_training_failed():
    method = begun("greedyfed", even(4, 2))
    assert method.select(1, numbers(0.9, 0.8, 0.2, 0.1), no_probe).tolist() == [0, 1]
    method.observe(report(1, [1], shapley=[-0.3]))
    assert method.select(2, numbers(0.9, 0.8, 0.2, 0.1), no_probe).tolist() == [2, 3]
    method.observe(report(2, [2, 3], shapley=[-0.1, 0.2]))
    assert method.select(3, numbers(0.1, 0.8, 0.2, 0.1), no_probe).tolist() == [0, 3]


def play(method, rounds, clients):
    """Picks and weights of some rounds, in which every client has merits of its own."""
    played = []
    for round in rounds:
        chosen = method.select(round, uniforms(round, clients), losses)
        accuracies, shapley = np.random.default_rng((1, round)).normal(0.3, 0.4, (2, clients))[:, chosen]
        method.observe(report(round, chosen, np.clip(accuracies, 0, 1), shapley))
        played.append((chosen.tolist(), None if method.drawn is None else method.drawn.tolist()))
    return played


@pytest.mark.parametrize("name", METHODS)
def test_a_restored_method_goes_on_as_if_nothing_had_happened(name):
    told = paper(clients=12, mavericks=2, selected=4)
    method = begun(name, told)
    play(method, range(1, 7), 12)
    saved = io.BytesIO()
    torch.save(method.state(), saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    restored = begun(name, told)
    restored.restore(state)
    forgetful = begun(name, told)
    rest = play(method, range(7, 15), 12)
    assert play(restored, range(7, 15), 12) == rest
    assert (play(forgetful, range(7, 15), 12) == rest) == (not state)


@pytest.mark.parametrize("name", METHODS)
def test_a_saved_state_does_not_change_with_its_method(name):
    method = begun(name, paper(clients=12, selected=4))
    play(method, range(1, 4), 12)
    state = method.state()
    before = repr(state)
    play(method, range(4, 8), 12)
    assert repr(state) == before
    assert (repr(method.state()) == before) == (not state)


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("svb", {"rate": 0}, "rate"),
        ("svb", {"rate": 1.1}, "rate"),
        ("svb", {"rate": float("nan")}, "rate"),
        ("svb", {"floor": 0}, "floor"),
        ("svb", {"floor": -0.1}, "floor"),
        ("tifl", {"unknown": 0}, "unknown"),
        ("tifl", {"unknown": 1.5}, "unknown"),
        ("tifl", {"floor": 0}, "floor"),
        ("tifl", {"floor": 2}, "floor"),
        ("greedyfed", {"memory": 1}, "memory"),
        ("greedyfed", {"memory": -0.1}, "memory"),
        ("power_of_choice", {"candidates": 1}, "candidates"),
        ("power_of_choice", {"candidates": 0}, "candidates"),
        ("power_of_choice", {"candidates": -3}, "candidates"),
        ("power_of_choice", {"images": 0}, "images"),
        ("power_of_choice", {"images": -1}, "images"),
        ("fedfast", {"runs": 0}, "runs"),
    ],
)
def test_bad_coefficients_are_named(name, options, key):
    with pytest.raises(GauntletError) as caught:
        begun(name, even(), **options)
    assert caught.value.key == f"method.options.{key}"
