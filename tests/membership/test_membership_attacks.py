"""Attacks by thresholds, and what all attacks share."""

import math
from dataclasses import replace
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy as reference_entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import nn
from toy_membership import gaussian, logits_of

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create, names, options
from gauntlet.membership.base import Evidence, Shadows
from gauntlet.membership.posteriors import log_rest, scaled
from gauntlet.metrics.membership import balanced_accuracy, best_threshold, roc

BY_ANSWERS = ("loss", "confidence", "entropy", "modified_entropy", "gap")
WITH_SHADOWS = ("shadow", "lira_online", "lira_offline", "rmia")
WHITE_BOX = ("gradient_norm", "update_cosine")
OTHERS = ("summed_loss", "distilled_distance")


def scores(name, evidence, **settings):
    return create("membership", name, settings).scores(evidence)


def hand():
    """Posteriors (1/2, 1/4, 1/4) with label 0, and (1/8, 3/4, 1/8) with label 0."""
    p = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    return Evidence(labels=np.array([0, 0]), logits=np.log(p) + 3)


def test_every_attack_is_tested():
    assert set(names("membership")) == {*BY_ANSWERS, *WITH_SHADOWS, *WHITE_BOX, *OTHERS}


def test_hand_worked_scores():
    log = math.log
    expected = {
        "loss": [log(1 / 2), log(1 / 8)],
        "confidence": [1 / 2, 1 / 8],
        "entropy": [log(1 / 2) / 2 + log(1 / 4) / 2, log(3 / 4) * 3 / 4 + log(1 / 8) / 4],
        "modified_entropy": [
            log(1 / 2) / 2 + 2 * log(3 / 4) / 4,
            log(1 / 8) * 7 / 8 + log(1 / 4) * 3 / 4 + log(7 / 8) / 8,
        ],
        "gap": [1, 0],
    }
    for name in BY_ANSWERS:
        np.testing.assert_allclose(scores(name, hand()), expected[name], err_msg=name)
    np.testing.assert_allclose(scores("confidence", hand(), of="largest"), [1 / 2, 3 / 4])


def test_scores_agree_with_libraries():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 6)) * 3, rng.integers(0, 6, 50)
    evidence, p = Evidence(labels=labels, logits=logits), softmax(logits, axis=1)
    np.testing.assert_allclose(scores("entropy", evidence), -reference_entropy(p, axis=1))
    found = -scores("loss", evidence)
    assert found.mean() == pytest.approx(log_loss(labels, p, labels=range(6)))
    reference = nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), reduction="none"
    )
    np.testing.assert_allclose(found, reference.numpy())


@given(st.lists(st.floats(-60, 60), min_size=2, max_size=6), st.data())
def test_the_rest_of_a_probability_is_exact_next_to_one(logits, data):
    """Against 80 decimal digits."""
    getcontext().prec = 80
    powers = [Decimal(value).exp() for value in logits]
    k = data.draw(st.integers(0, len(logits) - 1))
    expected = ((sum(powers) - powers[k]) / sum(powers)).ln()
    found = log_rest(np.array([logits]))[0, k]
    assert found == pytest.approx(float(expected), rel=1e-9, abs=1e-300)
    ratio = (powers[k] / (sum(powers) - powers[k])).ln()
    assert scaled(np.array([logits]), np.array([k]))[0] == pytest.approx(float(ratio), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", BY_ANSWERS)
def test_a_model_that_memorises_gives_itself_away(name):
    """Members get their label for sure; others get an answer that is flat, and wrong."""
    member = np.arange(60) % 2 == 0
    labels = np.arange(60) % 3
    logits = logits_of(np.where(member, 30.0, -1.0), labels)
    assert roc(scores(name, Evidence(labels=labels, logits=logits)), member).auc == 1


@pytest.mark.parametrize("name", BY_ANSWERS)
def test_a_constant_model_tells_nothing(name):
    member, labels = np.arange(60) < 30, np.arange(60) % 3
    logits = np.tile([0.3, 0.2, -1.0], (60, 1))
    assert roc(scores(name, Evidence(labels=labels, logits=logits)), member).auc == pytest.approx(0.5)


@pytest.mark.parametrize("name", WITH_SHADOWS)
def test_candidates_that_shadows_know_to_be_alike_are_not_told_apart(name):
    """Without a difference between members and others, in the target or the shadows, the area is chance."""
    evidence, member = gaussian(shift=0.0)
    error = math.sqrt(1 / 12 * (2 / 1000))  # of the area, under equal distributions
    assert roc(scores(name, evidence), member).auc == pytest.approx(0.5, abs=4 * error)


@pytest.mark.parametrize("name", [*WITH_SHADOWS, "loss"])
def test_scores_do_not_depend_on_the_order_of_candidates_or_models(name):
    evidence, _ = gaussian(n=60, models=8)
    rng = np.random.default_rng(1)
    rows, models = rng.permutation(60), rng.permutation(8)
    shuffled = replace(
        evidence,
        labels=evidence.labels[rows],
        logits=evidence.logits[rows],
        shadows=Shadows(evidence.shadows.logits[models][:, rows], evidence.shadows.inside[models][:, rows]),
        population=replace(evidence.population, shadow_logits=evidence.population.shadow_logits[models]),
    )
    np.testing.assert_allclose(scores(name, shuffled), scores(name, evidence)[rows], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", BY_ANSWERS)
def test_thresholds_of_classes_make_zero_the_threshold_of_all(name):
    """The confidence depends on the class more than on membership: classes need thresholds of their own."""
    rng = np.random.default_rng(0)
    labels, member = np.arange(600) % 3, np.arange(600) % 2 == 0
    inside = rng.random((4, 600)) < 0.5

    def answer(known):
        return logits_of(-2 + 3 * labels + np.where(known, 1.0, 0.0) + rng.uniform(0, 0.5, 600), labels)

    evidence = Evidence(
        labels=labels, logits=answer(member), shadows=Shadows(np.stack([answer(m) for m in inside]), inside)
    )
    together = balanced_accuracy(values := scores(name, evidence), member, best_threshold(values, member))
    apart = balanced_accuracy(scores(name, evidence, per_class=True), member, 0.0)
    if name == "loss":
        assert apart > 0.99
        assert together < 0.8
    if name in ("loss", "confidence", "modified_entropy"):
        assert apart > together
    by_hand = scores(name, evidence)
    for label in range(3):
        own = labels == label
        shadows = np.concatenate(
            [scores(name, Evidence(labels[own], logits[own])) for logits in evidence.shadows.logits]
        )
        by_hand[own] -= best_threshold(shadows, inside[:, own].ravel())
    np.testing.assert_allclose(scores(name, evidence, per_class=True), by_hand)


def test_a_class_that_no_shadow_model_has_trained_on_has_no_threshold():
    evidence, _ = gaussian(n=30, models=4)
    inside = evidence.shadows.inside & (evidence.labels != 1)
    bad = replace(evidence, shadows=replace(evidence.shadows, inside=inside))
    with pytest.raises(GauntletError, match="no threshold for class 1: 0 members"):
        scores("loss", bad, per_class=True)
    with pytest.raises(GauntletError, match="class 1"):
        scores("shadow", bad)


def test_the_shadow_attack_is_a_regression_per_class_on_sorted_posteriors():
    evidence, _ = gaussian(n=90, models=6)
    found = scores("shadow", evidence)
    for label in range(3):
        own = evidence.labels == label
        known = np.sort(softmax(evidence.shadows.logits[:, own], axis=-1))[..., ::-1].reshape(-1, 3)
        truth = evidence.shadows.inside[:, own].ravel()
        scaler = StandardScaler().fit(known)
        model = LogisticRegression(max_iter=1000).fit(scaler.transform(known), truth)
        asked = np.sort(softmax(evidence.logits[own], axis=-1))[:, ::-1]
        p = model.predict_proba(scaler.transform(asked))[:, 1]
        np.testing.assert_allclose(found[own], np.log(p / (1 - p)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("settings", [{}, {"top": 1}, {"per_class": False}], ids=str)
def test_the_shadow_attack_learns_who_is_a_member(settings):
    evidence, member = gaussian(shift=4.0, spread=0.3)
    narrow = replace(  # without spread between candidates, confidence tells all
        evidence,
        logits=logits_of(4.0 * member - 2 + 0.1 * evidence.labels, evidence.labels),
        shadows=replace(
            evidence.shadows,
            logits=logits_of(4.0 * evidence.shadows.inside - 2 + 0.1 * evidence.labels, evidence.labels),
        ),
    )
    assert roc(scores("shadow", narrow, **settings), member).auc > 0.99


def test_a_threshold_may_be_chosen_on_a_shadow_model():
    """Of attacks whose scores mean the same for every model; the target's members are not touched."""
    evidence, member = gaussian(shift=2.0)
    for name in WITH_SHADOWS:
        own, truth = evidence.on_shadow(5)
        np.testing.assert_array_equal(truth, evidence.shadows.inside[5])
        np.testing.assert_array_equal(own.logits, evidence.shadows.logits[5])
        assert len(own.shadows.inside) == len(own.population.shadow_logits) == 63
        threshold = best_threshold(scores(name, own), truth)
        values = scores(name, evidence)
        best = roc(values, member).balanced_accuracy.max()
        reached = balanced_accuracy(values, member, threshold)
        assert best - 0.03 < reached <= best, name


def test_losses_are_summed_over_rounds():
    rng = np.random.default_rng(0)
    history, labels = rng.normal(size=(4, 20, 3)), rng.integers(0, 3, 20)
    found = scores("summed_loss", Evidence(labels=labels, history=history))
    rounds = [scores("loss", Evidence(labels=labels, logits=logits)) for logits in history]
    np.testing.assert_allclose(found, np.sum(rounds, axis=0))


def test_many_rounds_tell_more_than_the_last():
    rng = np.random.default_rng(0)
    member, labels = np.arange(2000) % 2 == 0, rng.integers(0, 3, 2000)
    history = logits_of(0.5 * member + rng.normal(size=(16, 2000)), labels)
    last = roc(scores("loss", Evidence(labels=labels, logits=history[-1])), member).auc
    every = roc(scores("summed_loss", Evidence(labels=labels, history=history)), member).auc
    assert last < 0.7 < 0.85 < every


@pytest.mark.parametrize("name", [*BY_ANSWERS, *WITH_SHADOWS, *WHITE_BOX, *OTHERS])
def test_what_an_attack_needs_and_lacks_is_named(name):
    with pytest.raises(GauntletError, match="the attack needs"):
        scores(name, Evidence(labels=np.array([0, 1])))


def test_thresholds_of_classes_need_shadow_models():
    with pytest.raises(GauntletError, match="needs shadows"):
        scores("loss", hand(), per_class=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"logits": np.zeros((59, 3))}, "logits have the shape"),
        ({"logits": np.zeros((60, 1))}, "at least two classes"),
        ({"logits": np.full((60, 3), np.nan)}, "not finite"),
        ({"shadows": Shadows(np.zeros((4, 60, 2)), np.zeros((4, 60), bool))}, "shadows' logits"),
        ({"shadows": Shadows(np.zeros((4, 60, 3)), np.zeros((5, 60), bool))}, "inside"),
        ({"shadows": Shadows(np.zeros((4, 60, 3)), np.zeros((4, 60), int))}, "inside"),
    ],
)
def test_evidence_that_does_not_fit_is_named(change, problem):
    evidence, _ = gaussian(n=60, models=4)
    with pytest.raises(GauntletError, match=problem):
        scores("loss", replace(evidence, **change))


def test_studies_can_read_the_options():
    assert set(options("membership", "loss")) == {"per_class"}
    assert set(options("membership", "confidence")) == {"of", "per_class"}
    assert set(options("membership", "gradient_norm")) == {"per_class"}
    assert set(options("membership", "rmia")) == {"gamma", "a", "offline"}
