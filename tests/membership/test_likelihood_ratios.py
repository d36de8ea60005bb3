"""LiRA and RMIA: closed forms, references and hand-worked examples."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm
from toy_membership import gaussian, logits_of

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create
from gauntlet.membership.base import Evidence, Population, Shadows
from gauntlet.metrics.membership import roc


def scores(name, evidence, **settings):
    return create("membership", name, settings).scores(evidence)


def area_error(n):
    """At most this is the standard error of an area over n members and n others."""
    return math.sqrt(1 / (4 * n))


@pytest.mark.parametrize("name", ["lira_online", "lira_offline"])
@pytest.mark.parametrize("variance", ["each", "global"])
@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_two_known_gaussians(name, variance, shift):
    """With the distributions known, the likelihood ratio grows with the confidence: area Phi(d / sqrt 2)."""
    evidence, member = gaussian(n=2000, models=400, shift=shift)
    found = roc(scores(name, evidence, variance=variance), member).auc
    assert found == pytest.approx(norm.cdf(shift / math.sqrt(2)), abs=4 * area_error(1000))


def test_what_is_hard_in_itself_does_not_hide_members():
    """Candidates differ more (3) than membership does (2): the loss alone mixes them, LiRA does not."""
    evidence, member = gaussian(shift=2.0)
    assert roc(scores("loss", evidence), member).auc < 0.75
    for name in ("lira_online", "lira_offline", "rmia"):
        assert roc(scores(name, evidence), member).auc > 0.85, name


@pytest.mark.parametrize("name", ["lira_online", "lira_offline"])
def test_queries_add_up(name):
    """The mean of q independent answers is sqrt q times as far apart."""
    evidence, member = gaussian(shift=1.0, queries=4, models=200)
    found = roc(scores(name, evidence), member).auc
    assert found == pytest.approx(norm.cdf(2 / math.sqrt(2)), abs=4 * area_error(1000))
    alone = replace(
        evidence,
        logits=evidence.logits[0],
        shadows=replace(evidence.shadows, logits=evidence.shadows.logits[:, 0]),
    )
    assert roc(scores(name, alone), member).auc < found - 0.05


def test_online_is_the_ratio_of_the_fitted_densities():
    evidence, _ = gaussian(n=40, models=12)
    phi = np.log(p := own(evidence.logits, evidence.labels)) - np.log1p(-p)
    shadows = np.log(p := own(evidence.shadows.logits, evidence.labels)) - np.log1p(-p)
    inside = evidence.shadows.inside
    sets = [(shadows[inside[:, j], j], shadows[~inside[:, j], j]) for j in range(40)]

    each = [
        norm.logpdf(phi[j], *moments(known)) - norm.logpdf(phi[j], *moments(unknown))
        for j, (known, unknown) in enumerate(sets)
    ]
    np.testing.assert_allclose(scores("lira_online", evidence, variance="each"), each, rtol=1e-8)

    wide, narrow = (
        np.sqrt(np.sum([(part - part.mean()) ** 2 for part in parts]) / (40 * (6 - 1)))
        for parts in zip(*sets, strict=True)
    )
    one = [
        norm.logpdf(phi[j], known.mean(), wide) - norm.logpdf(phi[j], unknown.mean(), narrow)
        for j, (known, unknown) in enumerate(sets)
    ]
    np.testing.assert_allclose(scores("lira_online", evidence, variance="global"), one, rtol=1e-8)
    np.testing.assert_allclose(scores("lira_online", evidence), one, rtol=1e-8)  # 12 models are few


def test_offline_is_the_one_sided_test():
    evidence, _ = gaussian(n=40, models=12)
    phi = np.log(p := own(evidence.logits, evidence.labels)) - np.log1p(-p)
    shadows = np.log(p := own(evidence.shadows.logits, evidence.labels)) - np.log1p(-p)
    found = scores("lira_offline", evidence, variance="each")
    for j in range(40):
        out = shadows[~evidence.shadows.inside[:, j], j]
        assert norm.cdf(found[j]) == pytest.approx(1 - norm.sf(phi[j], *moments(out)), rel=1e-8)


def test_offline_reads_no_shadow_model_that_knows_the_candidate():
    evidence, _ = gaussian(n=40, models=12)
    logits = evidence.shadows.logits.copy()
    logits[evidence.shadows.inside] += np.random.default_rng(0).normal(size=3)
    changed = replace(evidence, shadows=replace(evidence.shadows, logits=logits))
    for name, settings in {"lira_offline": {}, "rmia": {"offline": True}}.items():
        np.testing.assert_array_equal(
            scores(name, changed, **settings), scores(name, evidence, **settings), err_msg=name
        )
    assert (scores("lira_online", changed) != scores("lira_online", evidence)).all()


@pytest.mark.parametrize(
    ("inside", "variance", "problem"),
    [
        ([[0, 0], [0, 0], [1, 0], [1, 1]], "global", None),
        ([[0, 0], [0, 0], [1, 0], [1, 1]], "each", "has 1 shadow models of a kind; 2 are needed"),
        ([[0, 1], [0, 1], [1, 1], [1, 1]], "auto", "has 0 shadow models of a kind; 1 are needed"),
        ([[0, 0], [0, 1], [0, 1], [1, 1]], "global", None),
    ],
)
def test_too_few_shadow_models_are_named(inside, variance, problem):
    rng = np.random.default_rng(0)
    labels = np.array([0, 1])
    shadows = Shadows(rng.normal(size=(4, 2, 3)), np.array(inside, bool))
    evidence = Evidence(labels, rng.normal(size=(2, 3)), shadows)
    if problem is None:
        assert np.isfinite(scores("lira_online", evidence, variance=variance)).all()
    else:
        with pytest.raises(GauntletError, match=problem):
            scores("lira_online", evidence, variance=variance)


def test_one_pair_of_models_leaves_no_variance():
    evidence, _ = gaussian(n=20, models=2)
    with pytest.raises(GauntletError, match="leaves no variance"):
        scores("lira_online", evidence)
    assert np.isfinite(scores("rmia", evidence)).all()


def test_models_that_all_answer_alike_have_no_variance():
    evidence, _ = gaussian(n=20, models=4, spread=0.0)
    with pytest.raises(GauntletError, match="no variance"):
        scores("lira_offline", evidence)


# RMIA


def three():
    """Three candidates, two shadow models, population of two.

    Label probabilities are .8, .4, .5 in the target; .4, .4, .3 in the first shadow model, which has trained
    on candidate 2 alone; .2, .6, .5 in the second, which has trained on candidate 1 alone.
    """

    def answers(p):
        p = np.asarray(p)
        return np.log(np.stack([p, 1 - p], axis=-1))

    return Evidence(
        labels=np.zeros(3, int),
        logits=answers([0.8, 0.4, 0.5]),
        shadows=Shadows(answers([[0.4, 0.4, 0.3], [0.2, 0.6, 0.5]]), np.array([[0, 0, 1], [0, 1, 0]], bool)),
        population=Population(np.zeros(2, int), answers([0.6, 0.3]), answers([[0.5, 0.3], [0.3, 0.1]])),
    )


def test_three_candidates_by_hand():
    """a = 1 leaves P_in = P_out where no model has the example.

    p(x): .3 (both without it, (.4 + .2) / 2); (.6 + .4) / 2 = .5; (.3 + .5) / 2 = .4.
    Ratios of x: 8/3, .8, 1.25. Of z: .6 / .4 = 1.5 and .3 / .2 = 1.5.
    """
    np.testing.assert_array_equal(scores("rmia", three(), a=1.0), [1, 0, 0])
    # The least gamma that 1.25 / 1.5 reaches is 5/6; that of .8 is 8/15; that of 8/3 is 16/9.
    for gamma, expected in {0.84: [1, 0, 0], 0.83: [1, 0, 1], 0.53: [1, 1, 1], 1.78: [0, 0, 0]}.items():
        np.testing.assert_array_equal(scores("rmia", three(), a=1.0, gamma=gamma), expected)


def test_three_candidates_by_hand_offline():
    """a = .5: p = (P_out + .5 P_out + .5) / 2 = .75 P_out + .25.

    P_out of x: .3, .4, .5 -> p .475, .55, .625, ratios 1.684, .727, .8.
    P_out of z: .4, .2 -> p .55, .4, ratios 1.091, .75.
    """
    np.testing.assert_array_equal(scores("rmia", three(), a=0.5, offline=True), [1, 0, 0.5])


@pytest.mark.parametrize("settings", [{}, {"gamma": 2.0}, {"a": 0.0}, {"offline": True, "a": 0.6}], ids=str)
def test_agrees_with_all_pairs(settings):
    evidence, _ = gaussian(n=80, models=8, shift=2.0)
    gamma, a = settings.get("gamma", 1.0), settings.get("a", 0.3)
    inside, z = evidence.shadows.inside, evidence.population

    def ratio(target, shadows, mask):
        out = shadows[~mask].mean()
        known = a * out + 1 - a if settings.get("offline") or not mask.any() else shadows[mask].mean()
        return target / ((known + out) / 2)

    x, models = own(evidence.logits, evidence.labels), own(evidence.shadows.logits, evidence.labels)
    xs = [ratio(x[j], models[:, j], inside[:, j]) for j in range(80)]
    p, models = own(z.logits, z.labels), own(z.shadow_logits, z.labels)
    zs = [ratio(p[k], models[:, k], np.zeros(8, bool)) for k in range(500)]
    expected = [np.mean([x / z >= gamma for z in zs]) for x in xs]
    found = scores("rmia", evidence, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.std() > 0.05


def test_models_that_learned_nothing_about_the_candidates():
    """Target and shadow models answer alike: every ratio is 1 at a = 1, and gamma = 1 is reached by all."""
    evidence, _ = gaussian(n=30, models=4)
    answers = logits_of(np.zeros(30), evidence.labels)
    same = replace(
        evidence,
        logits=answers,
        shadows=replace(evidence.shadows, logits=np.tile(answers, (4, 1, 1))),
        population=Population(evidence.labels, answers, np.tile(answers, (4, 1, 1))),
    )
    assert scores("rmia", same, a=1.0, gamma=1 - 1e-9).tolist() == [1] * 30
    assert scores("rmia", same, a=1.0, gamma=1 + 1e-9).tolist() == [0] * 30


@pytest.mark.parametrize("settings", [{"gamma": 0}, {"a": -0.1}, {"a": 1.1}], ids=str)
def test_options_out_of_range_are_named(settings):
    with pytest.raises(GauntletError, match=next(iter(settings))):
        create("membership", "rmia", settings)


def test_a_candidate_that_all_models_know_is_named():
    evidence, _ = gaussian(n=20, models=4)
    inside = evidence.shadows.inside.copy()
    inside[:, 3] = True
    with pytest.raises(GauntletError, match="every shadow model"):
        scores("rmia", replace(evidence, shadows=replace(evidence.shadows, inside=inside)))


def own(logits, labels):
    return softmax(logits, axis=-1)[..., np.arange(len(labels)), labels]


def moments(values):
    return values.mean(), values.std(ddof=1)
