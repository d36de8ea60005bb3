"""FedEMD against a slow literal reading of Algorithm 1, and against the picks that it is known to make."""

from math import exp
from statistics import fmean, pstdev

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from toy_selection import begun, federation, maverick_histograms, no_probe, paper, uniforms

from gauntlet.core.errors import GauntletError
from gauntlet.selection.fedemd import common_class


class Literal:
    """Algorithm 1, one client and one class at a time."""

    def __init__(self, histograms, selected, alpha, beta, kind, normalisation, mavericks):
        self.histograms = [[float(x) for x in row] for row in histograms]
        self.selected, self.alpha, self.beta = selected, alpha, beta
        self.kind, self.normalisation = kind, normalisation
        columns = list(zip(*self.histograms, strict=True))
        self.common = min(range(len(columns)), key=lambda c: pstdev(columns[c]) / fmean(columns[c]))
        self.per_client = fmean(columns[self.common])
        self.clients = [[x / self.per_client for x in row] for row in self.histograms]
        overall = [sum(column) for column in columns]
        self.current = [0.0] * len(columns)
        if normalisation == "released":
            overall = [1.0] * len(columns)
            alone = [
                all(column[i] == 0 for i in range(len(column)) if i not in mavericks) for column in columns
            ]
            self.current = [float(len(self.histograms)) if mine else 1.0 for mine in alone]
        self.emd_g = [self.distance(self.norm(overall), client) for client in self.clients]

    def norm(self, histogram):
        if self.normalisation == "balanced":
            return [x / histogram[self.common] for x in histogram]
        return [x / self.per_client for x in histogram] if self.normalisation == "literal" else histogram

    def distance(self, u, v):
        if self.kind == "values":
            return wasserstein_distance(u, v)
        if self.kind == "ordinal":
            return wasserstein_distance(range(len(u)), range(len(v)), u, v)
        return sum(abs(a / sum(u) - b / sum(v)) for a, b in zip(u, v, strict=True))

    def probabilities(self, t):
        emd_c = [0.0] * len(self.clients)
        if sum(self.current):
            emd_c = [self.distance(self.norm(self.current), client) for client in self.clients]
        logits = [self.alpha * g - t * self.beta * c for g, c in zip(self.emd_g, emd_c, strict=True)]
        powers = [exp(logit - max(logits)) for logit in logits]
        return [power / sum(powers) for power in powers]

    def select(self, t, uniforms):
        keys = [u ** (1 / p) for u, p in zip(uniforms, self.probabilities(t), strict=True)]
        chosen = sorted(sorted(range(len(keys)), key=lambda i: keys[i])[-self.selected :])
        for client in chosen:
            self.current = [a + b for a, b in zip(self.current, self.histograms[client], strict=True)]
        return chosen


def uneven(seed=3):
    return 1 + np.random.default_rng(seed).poisson(20, (15, 6)) * np.arange(1, 7)


WORLDS = {
    "one": (maverick_histograms(20, 6, 30), (19,)),
    "two": (maverick_histograms(20, 6, 30, mavericks=2), (18, 19)),
    "pure": (maverick_histograms(20, 6, 30, pure=True), (19,)),
    "uneven": (uneven(), ()),
}


@pytest.mark.parametrize("normalisation", ["balanced", "literal", "released"])
@pytest.mark.parametrize("kind", ["values", "l1", "ordinal"])
@pytest.mark.parametrize("world", WORLDS)
def test_equals_the_literal_algorithm(world, kind, normalisation):
    histograms, mavericks = WORLDS[world]
    options = {"alpha": 0.4, "beta": 0.01, "emd_kind": kind, "normalisation": normalisation}
    method = begun("fedemd", federation(histograms, 4, mavericks=mavericks), **options)
    literal = Literal(histograms, 4, 0.4, 0.01, kind, normalisation, mavericks)
    shares = []
    for t in range(1, 26):
        expected = literal.probabilities(t)
        numbers = uniforms(t, len(histograms))
        assert method.select(t, numbers, no_probe).tolist() == literal.select(t, numbers[0])
        np.testing.assert_allclose(method.drawn, expected, rtol=1e-9)
        shares.append(method.drawn)
    assert np.ptp(shares, axis=1).max() > 1e-3
    assert np.ptp(shares, axis=0).max() > 1e-3


def test_the_papers_distances():
    """A balanced histogram is all ones, the Maverick's has one 50: 4.9; everyone else's has one 0: 0.1."""
    method = begun("fedemd", paper())
    assert method.emd_g == pytest.approx([0.1] * 49 + [4.9])
    first = method.weights(1)
    assert first[-1] / first[0] == pytest.approx(exp(0.15 * 4.8))
    shares = begun("fedemd", paper(), emd_kind="l1")
    others, owner = 2 * (1 / 10), 2 * (6000 / 7080 - 1 / 10)
    assert shares.emd_g == pytest.approx([others] * 49 + [owner])


@pytest.mark.parametrize(("alpha", "beta", "crossover"), [(0.15, 0.0015, 100), (0.11, 0.001, 110)])
def test_the_maverick_is_favoured_until_alpha_over_beta(alpha, beta, crossover):
    method = begun("fedemd", paper(), alpha=alpha, beta=beta)
    method.restore({"current": [6000.0] * 10})
    maverick = {t: method.weights(t)[-1] for t in range(1, 201)}
    assert maverick[crossover] == pytest.approx(1 / 50)
    for t, share in maverick.items():
        odds = exp((alpha - t * beta) * 4.8)
        assert share == pytest.approx(odds / (odds + 49))
        assert (share > 1 / 50) == (t < crossover) or t == crossover


def picks_per_quarter(seeds, **options):
    """(seeds, 4) rounds with the Maverick, of the paper's 50 clients, K = 5, 200 rounds."""
    found = np.zeros((seeds, 4))
    for seed in range(seeds):
        method = begun("fedemd", paper(), **options)
        for t in range(1, 201):
            found[seed, (t - 1) // 50] += 49 in method.select(t, uniforms(t, seed=seed), no_probe)
    return found


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, [8.5, 5.4, 4.4, 2.6]),
        ({"normalisation": "released"}, [12.8, 15.4, 21.9, 25.0]),
        ({"beta": 0.01}, [3.8, 0.1, 0, 0]),
    ],
    ids=["paper", "released", "large beta"],
)
def test_picks_of_the_maverick_are_those_of_earlier_simulations(options, known):
    """The known means are of 8 seeds: three standard errors of their difference to ours."""
    seeds = 30
    found = picks_per_quarter(seeds, **options)
    allowed = 3 * found.std(axis=0, ddof=1) * np.sqrt(1 / 8 + 1 / seeds) + 0.15
    assert (np.abs(found.mean(axis=0) - known) <= allowed).all(), found.mean(axis=0)
    assert (np.abs(np.array(known) - 5) > allowed).any()  # uniform picks, 5 per quarter, would not pass
    falling = np.diff(found.mean(axis=0))
    assert (falling > 0).all() if "normalisation" in options else (falling <= 0).all()


def test_a_class_of_no_maverick_is_the_unit():
    assert common_class(maverick_histograms(mavericks=2)) == 0
    assert common_class(np.array([[10, 0, 5], [0, 30, 5], [0, 0, 5]])) == 2
    assert common_class(np.array([[0, 9, 5], [0, 1, 5]])) == 2
    with pytest.raises(GauntletError, match="no images"):
        common_class(np.zeros((3, 2), dtype=int))


@pytest.mark.parametrize("kind", ["values", "l1", "ordinal"])
def test_a_first_round_of_pure_mavericks_alone_can_be_followed_by_others(kind):
    """What has been selected then has no image of the class that histograms are scaled by."""
    histograms = maverick_histograms(6, 4, 10, pure=True)
    method = begun("fedemd", federation(histograms, 1, mavericks=(5,)), emd_kind=kind, beta=0.1)
    only = np.full((2, 6), 0.01)
    only[:, 5] = 1
    assert method.select(1, only, no_probe).tolist() == [5]
    weights = method.weights(2)
    assert np.isfinite(weights).all()
    assert weights[5] > weights[:5].max()
    assert np.ptp(weights[:5]) == pytest.approx(0)
    assert len(method.select(2, uniforms(2, 6), no_probe)) == 1


@pytest.mark.parametrize("name", ["alpha", "beta"])
@pytest.mark.parametrize("value", [0, -0.1, float("nan")])
def test_coefficients_are_above_zero(name, value):
    with pytest.raises(GauntletError) as caught:
        begun("fedemd", paper(), **{name: value})
    assert caught.value.key == f"method.options.{name}"
