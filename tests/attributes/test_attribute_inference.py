"""Attacks on attributes, against scikit-learn and examples with a known answer."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from gauntlet.attributes.base import Evidence, Rows, leak
from gauntlet.attributes.update_property import batches, gradients
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create, names, options
from gauntlet.data.attributes import plant
from gauntlet.models.classifiers import build
from gauntlet.models.copies import state_of


def scores(name, evidence, **settings):
    return create("attribute_inference", name, settings).scores(evidence)


def accuracy(found, attributes):
    return leak(found, np.zeros_like(found), attributes)["accuracy"]


def world(n=800, leaking=True, correlated=False, seed=0):
    """Rows with a label, and features of which one may tell the attribute; and the targets' attribute."""
    rng = np.random.default_rng(seed)
    labels, attributes = rng.integers(0, 4, n), rng.integers(0, 2, n)
    if correlated:  # with 9 of 10 the attribute is the parity of the label
        attributes = np.where(rng.random(n) < 0.9, labels % 2, 1 - labels % 2)
    features = rng.normal(size=(n, 6)) * [1, 100, 1, 1, 1, 1]
    features[:, 0] += 4 * attributes * leaking
    half = n // 2
    return Evidence(
        targets=Rows(labels=labels[half:], features=features[half:]),
        auxiliary=Rows(labels=labels[:half], features=features[:half]),
        attributes=attributes[:half],
    ), attributes[half:]


def test_every_attack_is_tested():
    assert names("attribute_inference") == ["confidence", "imputation", "representation", "update_property"]
    assert set(options("attribute_inference", "representation")) == {"hidden", "c"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [("representation", {}), ("representation", {"hidden": 8}), ("update_property", {"trees": 50})],
)
def test_a_leak_is_found_where_there_is_one(name, settings):
    for leaking in (True, False):
        evidence, attributes = world(leaking=leaking)
        found = leak(scores(name, evidence, **settings), scores("imputation", evidence), attributes)
        if leaking:
            assert found["accuracy"] > 0.93  # the best is Phi(2) = .977
            assert found["advantage"] > 0.35
        else:
            assert abs(found["advantage"]) < 4 * math.sqrt(0.5 / 400)


def test_correlation_with_the_label_is_no_leak():
    evidence, attributes = world(leaking=False, correlated=True)
    found = leak(scores("representation", evidence), scores("imputation", evidence), attributes)
    assert found["accuracy"] > 0.85
    assert found["imputation"] > 0.85
    assert abs(found["advantage"]) < 0.05


def test_an_attack_knows_what_anyone_knows():
    """Label and feature together give what neither gives alone."""
    rng = np.random.default_rng(0)
    labels, hint = rng.integers(0, 2, 600), rng.normal(size=(600, 1))
    attributes = (hint[:, 0] + 2 * labels - 1 > 0).astype(int)
    evidence = Evidence(
        targets=Rows(labels[300:], features=hint[300:]),
        auxiliary=Rows(labels[:300], features=hint[:300]),
        attributes=attributes[:300],
    )
    both = accuracy(scores("representation", evidence), attributes[300:])
    alone = replace(
        evidence,
        targets=replace(evidence.targets, labels=None),
        auxiliary=replace(evidence.auxiliary, labels=None),
    )
    assert both > 0.95 > 0.05 + accuracy(scores("representation", alone), attributes[300:])
    assert both > leak(*[scores("imputation", evidence)] * 2, attributes[300:])["accuracy"] + 0.08


def test_imputation_is_the_share_of_the_attribute_in_each_class():
    rng = np.random.default_rng(0)
    labels, attributes = rng.integers(0, 3, 5000), np.zeros(5000, int)
    for label, share in enumerate((0.2, 0.7, 0.5)):
        attributes[labels == label] = rng.random((labels == label).sum()) < share
    evidence = Evidence(Rows(np.arange(3)), Rows(labels), attributes)
    found = scores("imputation", evidence)
    for label in range(3):
        assert found[label, 1] == pytest.approx(attributes[labels == label].mean(), abs=0.01)
    np.testing.assert_allclose(found.sum(1), 1)


def test_representation_is_a_regression_on_standardised_columns():
    evidence, _ = world()
    known, sought = (
        np.hstack([np.eye(4)[rows.labels], rows.features]) for rows in (evidence.auxiliary, evidence.targets)
    )
    mean, deviation = known.mean(0), known.std(0)
    model = LogisticRegression(max_iter=1000).fit((known - mean) / deviation, evidence.attributes)
    expected = model.predict_proba((sought - mean) / deviation)
    np.testing.assert_allclose(scores("representation", evidence), expected, rtol=1e-6)


def test_attributes_of_more_than_two_values():
    rng = np.random.default_rng(0)
    attributes = rng.integers(0, 3, 600)
    features = np.eye(3)[attributes] * 8 + rng.normal(size=(600, 3))
    evidence = Evidence(
        Rows(features=features[300:]), Rows(features=features[:300]), attributes=attributes[:300]
    )
    found = scores("representation", evidence)
    assert found.shape == (300, 3)
    assert accuracy(found, attributes[300:]) > 0.97


def test_a_seed_is_all_that_draws():
    evidence, _ = world(200)
    one, same = (scores("update_property", evidence, trees=10) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert (scores("update_property", replace(evidence, seed=1), trees=10) != one).any()


def test_the_most_confident_value_by_hand():
    """Two targets of class 0, two values: p_0 is .9 and .6 for the first, .2 and .4 for the second."""
    p = np.array([[0.9, 0.2], [0.6, 0.4]])
    answers = np.log(np.stack([p, 1 - p], axis=-1))
    evidence = Evidence(Rows(np.zeros(2, int)), answers=answers)
    found = scores("confidence", evidence, prior=False)
    np.testing.assert_allclose(found, np.log(p.T))
    assert found.argmax(1).tolist() == [0, 1]
    # Value 0 is three times as frequent: .9 * 3/4 against .6 / 4, and .2 * 3/4 against .4 / 4.
    weighed = scores("confidence", replace(evidence, attributes=np.array([0, 0, 1, 0])))
    np.testing.assert_allclose(weighed, np.log(p.T * [0.75, 0.25]))
    assert weighed.argmax(1).tolist() == [0, 0]


def test_a_model_that_saw_the_attribute_is_surest_of_the_right_one():
    """Targets were trained on with their own value: the answer for it is one more logit for the label."""
    rng = np.random.default_rng(0)
    labels, attributes = rng.integers(0, 3, 500), rng.integers(0, 2, 500)
    answers = rng.normal(size=(1, 500, 3)).repeat(2, axis=0)
    answers[attributes, np.arange(500), labels] += 1
    found = scores("confidence", Evidence(Rows(labels), answers=answers), prior=False)
    assert accuracy(found, attributes) == 1
    np.testing.assert_allclose(found[:, 1], log_softmax(answers[1], axis=1)[np.arange(500), labels])


def test_a_leak_by_hand():
    own = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    base = np.array([[0.6, 0.4]] * 4)
    assert leak(own, base, np.array([0, 1, 1, 1])) == {
        "accuracy": 0.75,
        "imputation": 0.25,
        "advantage": 0.5,
    }


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("representation", {"attributes": None}, "needs attributes"),
        ("representation", {"attributes": np.zeros(400, int)}, "one value of the attribute"),
        ("representation", {"targets": Rows(labels=np.zeros(4, int))}, "features of the auxiliary"),
        ("imputation", {"targets": Rows(public=np.zeros((4, 1)))}, "labels of the auxiliary"),
        ("imputation", {"targets": Rows(), "auxiliary": Rows()}, "nothing is known"),
        ("confidence", {"attributes": None}, "needs answers"),
        ("confidence", {"answers": np.zeros((2, 3, 4))}, "the targets' labels and answers"),
        ("confidence", {"answers": np.zeros((3, 400, 4))}, "lack a value"),
        ("confidence", {"answers": np.full((2, 400, 4), np.nan)}, "not finite"),
    ],
)
def test_bad_input_is_named(name, change, problem):
    evidence, _ = world()
    with pytest.raises(GauntletError, match=problem):
        scores(name, replace(evidence, **change))


def test_scores_that_do_not_fit_are_named():
    with pytest.raises(GauntletError, match="do not fit"):
        leak(np.zeros((3, 2)), np.zeros((4, 2)), np.zeros(3, int))


# Updates


def test_batches_have_the_property_or_not_and_the_same_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 5
    attributes = rng.integers(0, 2, 200)
    rows, having = batches(attributes, labels, size=6, count=40, generator=rng)
    assert rows.shape == (40, 6)
    assert having.tolist() == [0] * 20 + [1] * 20
    np.testing.assert_array_equal(attributes[rows], np.repeat(having[:, None], 6, axis=1))
    np.testing.assert_array_equal(labels[rows[:20]], labels[rows[20:]])
    assert len(np.unique(labels[rows])) == 5


def test_batches_that_cannot_be_made_are_named():
    with pytest.raises(GauntletError, match="no pairs"):
        batches(np.array([0, 1]), np.array([0, 0]), 2, 3, np.random.default_rng(0))
    with pytest.raises(GauntletError, match="class 1 has no image with attribute 1"):
        batches(np.array([0, 1, 0]), np.array([0, 0, 1]), 50, 2, np.random.default_rng(0))


def test_updates_are_the_gradients_of_the_batches():
    torch.manual_seed(0)
    net = build("cnn2_bn", 1, 8, 4).double().eval()
    images, labels = torch.rand(20, 1, 8, 8, dtype=torch.float64), torch.randint(4, (20,))
    rows = np.random.default_rng(0).integers(0, 20, (3, 5))
    found = gradients(net, state_of(net), images, labels, rows)
    for own, update in zip(rows, found, strict=True):
        loss = F.cross_entropy(net(images[own]), labels[own])
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])
        np.testing.assert_allclose(update, expected.numpy(), rtol=1e-9, atol=1e-12)


def test_a_planted_attribute_is_read_from_updates_and_features_that_hold_it(digits):
    """From gradients of batches with a bright patch, and from pixels; not from labels, nor from pixels of an
    image that does not show it."""
    split, rng = digits.train, np.random.default_rng(0)
    plain, labels = np.asarray(split.images), split.labels
    images, bits = plant("bright_patch", plain, labels, rng, digits.peak)
    half = len(labels) // 2
    sides = slice(None, half), slice(half, None)

    def rows(pictures, side):
        return Rows(labels[side], features=pictures[side].reshape(-1, 64) / digits.peak)

    shown, hidden = (
        Evidence(rows(pictures, sides[1]), rows(pictures, sides[0]), bits[sides[0]])
        for pictures in (images, plain)
    )
    base = scores("imputation", shown)
    assert leak(scores("representation", shown), base, bits[sides[1]])["advantage"] > 0.3
    assert abs(leak(scores("representation", hidden), base, bits[sides[1]])["advantage"]) < 0.1

    torch.manual_seed(0)
    net = build("cnn2_bn", 1, 8, 10).eval()

    def updates(pictures, side):
        own, having = batches(bits[side], labels[side], size=8, count=60, generator=rng)
        pixels = torch.from_numpy(pictures[side] / digits.peak).float()
        found = gradients(net, state_of(net), pixels, torch.from_numpy(labels[side]), own)
        histogram = np.stack([np.bincount(labels[side][batch], minlength=10) for batch in own])
        return Rows(public=histogram, features=found), having

    for pictures, leaks in ((images, True), (plain, False)):
        known, having = updates(pictures, sides[0])
        sought, truth = updates(pictures, sides[1])
        evidence = Evidence(sought, known, having)
        found = leak(scores("update_property", evidence, trees=50), scores("imputation", evidence), truth)[
            "advantage"
        ]
        assert found > 0.4 if leaks else abs(found) < 4 * math.sqrt(0.5 / 60)
