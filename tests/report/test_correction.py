"""Corrections against their definitions, and the error rates they promise on simulated studies."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gauntlet.report.claims.correction import adjust, claim_p, correct
from gauntlet.report.claims.evidence import TESTS
from gauntlet.report.claims.statistics import ALPHA

RUNS = 4000
TOLERANCE = 4 * np.sqrt(ALPHA * (1 - ALPHA) / RUNS)
some_p = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(some_p)
def test_holm_is_the_closed_test_of_bonferroni(p):
    """A claim is rejected when every set of claims with it is, by the least p times the size of the set."""
    everyone = range(len(p))
    sets = [chosen for size in everyone for chosen in combinations(everyone, size + 1)]
    expected = [max(min(1, len(s) * min(p[i] for i in s)) for s in sets if claim in s) for claim in everyone]
    assert adjust(p, "holm") == pytest.approx(expected)


@given(some_p, st.floats(0.01, 0.99))
def test_bh_rejects_up_to_the_last_p_below_its_line(p, level):
    ranked = sorted(p)
    below = [rank for rank, value in enumerate(ranked, 1) if value <= level * rank / len(p)]
    line = ranked[below[-1] - 1] if below else -1
    near = [abs(value - level * rank / len(p)) < 1e-9 for rank, value in enumerate(ranked, 1)]
    if not any(near):
        assert [a <= level for a in adjust(p, "bh")] == [value <= line for value in p]


def detail(holds=0.5, fails=0.5, verdict="undecided", side="above") -> dict:
    return {"tests": {"t": {"holds": holds, "fails": fails}}, "test": "t", "verdict": verdict, "side": side}


def simulated(effects, seeds=5, shared=0.5):
    """(RUNS, claims) p-values that effects (claims,) in units of the noise are above 0, and below. A
    part of the noise is that of the seed, the same for all claims."""
    rng = np.random.default_rng(6)
    noise = np.sqrt(shared) * rng.normal(size=(RUNS, 1, seeds)) + np.sqrt(1 - shared) * rng.normal(
        size=(RUNS, len(effects), seeds)
    )
    rows = (np.asarray(effects)[None, :, None] + noise).reshape(-1, seeds)
    return tuple(TESTS["t"](sign * rows).reshape(RUNS, -1) for sign in (1, -1))


@pytest.mark.parametrize("effects", [[0.0] * 8, [0.0] * 4 + [2.5] * 4])
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_a_study_wrongly_holds_anything_as_rarely_as_stated(effects, shared):
    """Family-wise error after Holm: at most 2.5%, whatever else is true."""
    p, _ = simulated(effects, shared=shared)
    null = np.asarray(effects) == 0
    wrong = np.mean([min(np.asarray(adjust(row.tolist(), "holm"))[null]) <= ALPHA for row in p])
    assert wrong <= ALPHA + TOLERANCE
    assert np.mean((p[:, null] <= ALPHA).any(axis=1)) > 2 * ALPHA  # the correction is needed
    if not shared and null.all():
        assert wrong == pytest.approx(1 - (1 - ALPHA / 8) ** 8, abs=TOLERANCE)


def test_bh_keeps_the_share_of_wrong_ones_among_those_that_hold():
    """With 4 of 8 true, at most half of 2.5%."""
    p, _ = simulated([0.0] * 4 + [4.0] * 4, shared=0)
    held = np.asarray([adjust(row.tolist(), "bh") for row in p]) <= ALPHA
    share = np.mean(held[:, :4].sum(axis=1) / np.maximum(held.sum(axis=1), 1))
    assert share == pytest.approx(ALPHA / 2, abs=TOLERANCE)
    assert held[:, 4:].mean() > 0.8


@pytest.mark.parametrize("checks", [1, 10])
def test_a_claim_of_many_checks_wrongly_holds_no_more_often(checks):
    """One check at its margin and all others far beyond: 2.5% (intersection-union)."""
    p, _ = simulated([0.0] + [9.0] * (checks - 1), shared=0)
    claims = [claim_p([detail(holds=each, verdict="holds") for each in row])["holds"] for row in p]
    assert np.mean(np.asarray(claims) <= ALPHA) == pytest.approx(ALPHA, abs=TOLERANCE)


def test_a_claim_of_many_checks_wrongly_fails_no_more_often():
    """All ten at their margins: without the correction within the claim it fails in a fifth of the runs."""
    _, p = simulated([0.0] * 10, shared=0)
    claims = [claim_p([detail(fails=each, verdict="fails") for each in row])["fails"] for row in p]
    assert np.mean(np.asarray(claims) <= ALPHA) == pytest.approx(1 - (1 - ALPHA / 10) ** 10, abs=TOLERANCE)
    assert np.mean((p <= ALPHA).any(axis=1)) > 0.15


def test_the_p_of_a_claim_by_hand():
    mixed = [detail(0.01, 0.99, "holds"), detail(0.2, 0.008, "fails")]
    assert claim_p(mixed) == {"holds": 0.2, "fails": pytest.approx(0.016)}
    tie = [*mixed, detail(0.3, 0.7, side="within")]
    assert claim_p(tie)["fails"] == pytest.approx(4 * 0.008)
    lacking = [*mixed, {"tests": {}, "test": "t", "verdict": "not measured", "side": "above"}]
    assert claim_p(lacking) == {"holds": None, "fails": pytest.approx(0.016)}
    assert claim_p([]) == {"holds": None, "fails": None}
    assert claim_p([detail(0.9, 0.9)])["fails"] == 0.9


def test_a_verdict_that_was_taken_away_is_no_evidence():
    doubted = detail(0.001, 0.999, "undecided")
    assert claim_p([doubted])["holds"] == 1.0
    assert claim_p([detail(0.001, 0.999, "holds")])["holds"] == 0.001


CLAIMS = {
    "A": {"verdict": "holds", "p": {"holds": 0.01, "fails": 0.99}},
    "B": {"verdict": "holds", "p": {"holds": 0.02, "fails": 0.98}},
    "C": {"verdict": "fails", "p": {"holds": None, "fails": 0.001}},
    "D": {"verdict": "not measured", "p": {"holds": None, "fails": None}},
    "E": {"verdict": "undecided", "p": {"holds": 0.2, "fails": 0.8}},
}


def test_correction_weakens_and_never_strengthens_a_verdict():
    holm = correct(CLAIMS, "holm")
    # Three claims that may hold: 0.01 * 3, 0.02 * 2, 0.2 * 1. Four that may fail: 0.001 * 4.
    assert [holm[key]["holds"] for key in "ABE"] == pytest.approx([0.03, 0.04, 0.2])
    assert holm["C"]["fails"] == pytest.approx(0.004)
    assert holm["A"]["claims"] == {"holds": 3, "fails": 4}
    assert {key: entry["verdict"] for key, entry in holm.items()} == {
        "A": "undecided",
        "B": "undecided",
        "C": "fails",
        "D": "not measured",
        "E": "undecided",
    }
    bh = correct(CLAIMS, "bh")  # 0.01 * 3, 0.02 * 3 / 2, 0.2
    assert [bh[key]["holds"] for key in "ABE"] == pytest.approx([0.03, 0.03, 0.2])


def test_without_a_correction_verdicts_stay():
    none = correct(CLAIMS, "none")
    assert {key: entry["verdict"] for key, entry in none.items()} == {
        key: claim["verdict"] for key, claim in CLAIMS.items()
    }
    assert all(entry["holds"] is None and entry["fails"] is None for entry in none.values())
