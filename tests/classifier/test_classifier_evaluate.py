"""Attacked classifiers: scores against the predictions, and the suite on honest and on masked networks."""

import numpy as np
import pandas as pd
import pytest
import torch
from toy_classifier import identity

from gauntlet.core.errors import GauntletError
from gauntlet.data.subset import Images
from gauntlet.families.classifier import checks, evaluate, train
from gauntlet.families.classifier.attack import per_class
from gauntlet.families.classifier.settings import Evaluation

ATTACKS = {
    "fgsm": {"classifier_attack": "fgsm", "options": {"eps": 0.2}},
    "pgd": {"classifier_attack": "pgd", "options": {"eps": 0.2, "step": 0.05, "steps": 8}},
    "far": {"classifier_attack": "bim", "options": {"eps": 0.4, "step": 0.1, "steps": 8}},
    "cw": {"classifier_attack": "cw", "options": {"lr": 0.05, "steps": 20, "searches": 4, "initial": 0.1}},
}
SETTINGS = {"attacked_per_class": 8, "attacks": ATTACKS, "sanity_per_class": 8, "sanity_steps": 30}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, folder):
    out = tmp_path_factory.mktemp("classifier")
    train.run(identity("none", {}, data={"per_class": 80}, epochs=5), [0, 1], out, None, "cpu", folder)
    return out


@pytest.fixture(scope="module")
def measured(trained, folder):
    what = identity("none", {}, data={"per_class": 80}, epochs=5)
    out = trained / "attack"
    evaluate.run(what, SETTINGS, [0, 1], trained / "model.safetensors", out, "cpu", folder)
    return {name: pd.read_parquet(out / f"{name}.parquet") for name in ("scores", "predictions", "sanity")}


def value(scores, seed, attack, metric="accuracy", **where):
    rows = scores[(scores.seed == seed) & (scores.attack == attack) & (scores.metric == metric)]
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    (found,) = rows["value"]
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_those_of_the_predictions(measured, seed):
    scores, predictions = measured["scores"], measured["predictions"]
    mine = predictions[predictions.seed == seed].assign(hit=lambda t: t.predicted == t.label)
    for attack, rows in mine.groupby("attack"):
        assert value(scores, seed, attack) == pytest.approx(rows.hit.mean())
        assert len(rows) == (364 if attack == "clean" else 80)
        assert rows["index"].is_unique
    hits = mine.pivot(index="index", columns="attack", values="hit").dropna()
    both = hits[["clean", "fgsm", "pgd"]].all(axis=1).mean()
    assert value(scores, seed, "worst", eps=0.2) == pytest.approx(both)
    assert value(scores, seed, "worst", eps=0.4) == pytest.approx(hits[["clean", "far"]].all(axis=1).mean())
    assert value(scores, seed, "clean") > 0.85 > 0.5 > value(scores, seed, "worst", eps=0.2)


def test_attacks_keep_to_their_budget_in_pixel_space(measured):
    """An L-inf ball of radius eps in 64 pixels reaches 8 eps."""
    far = measured["predictions"].groupby("attack")["distance"].max()
    assert far["clean"] == 0
    assert 0.2 < far["pgd"] <= 1.6 + 1e-5
    assert 0 < far["cw"] < far["far"]


def test_temperature_lowers_the_loss_and_moves_no_prediction(measured):
    scores = measured["scores"]
    for seed in (0, 1):
        assert value(scores, seed, "clean", "nll@scaled") <= value(scores, seed, "clean", "nll") + 0.01
    clean = measured["predictions"].query("attack == 'clean'")
    assert clean["confidence"].between(0.1, 1).all()


def test_an_honest_network_passes_its_suite(measured):
    sanity = measured["sanity"]
    assert set(sanity.attack) == {"pgd", "far"}  # iterated, with a budget
    assert set(sanity.check) == {
        "gradient", "more_steps", "bigger_eps", "unbounded", "transfer", "random_noise",
    }  # fmt: skip
    assert sanity.passed.all(), sanity[~sanity.passed]


def test_masked_gradients_fail_their_suite():
    """A network whose gradient is rounded away: attacks on it find nothing, noise of twice the size does."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(4, 1, 6, 6, generator=generator)
    labels = torch.arange(80) % 4
    pixels = (patterns[labels] + 0.1 * torch.randn(80, 1, 6, 6, generator=generator)).clamp(0, 1)
    weight = (patterns - patterns.mean(0)).flatten(1)

    def masked(x):
        rounded = (x * 8).round() / 8  # no gradient passes
        return 8 * rounded.flatten(1) @ weight.T + 0 * x.flatten(1)[:, :4]

    entry = Evaluation(classifier_attack="pgd", options={"eps": 0.2, "step": 0.05, "steps": 10})
    found = checks.run(masked, Images(pixels, labels), entry, 30, 0)
    failed = {check.check for check in found if not check.passed}
    assert {"gradient", "unbounded", "transfer"} <= failed


def test_the_suite_knows_the_defaults_of_an_attack():
    generator = torch.Generator().manual_seed(0)
    images = Images(torch.rand(8, 1, 4, 4, generator=generator), torch.arange(8) % 4)
    entry = Evaluation(classifier_attack="apgd", options={"eps": 0.2})  # 100 steps by default
    found = checks.run(checks.means(images), images, entry, 5, 0)
    assert {check.check for check in found} >= {"gradient", "more_steps"}


def test_the_first_images_of_each_class_are_taken():
    labels = torch.tensor([2, 0, 2, 1, 2, 0, 1])
    assert per_class(labels, 2).tolist() == [0, 1, 2, 3, 5, 6]
    assert per_class(labels, None).tolist() == list(range(7))


def test_the_same_inputs_give_the_same_bytes(tmp_path, trained, measured, folder):
    what = identity("none", {}, data={"per_class": 80}, epochs=5)
    evaluate.run(what, SETTINGS, [0, 1], trained / "model.safetensors", tmp_path, "cpu", folder)
    for name in ("scores", "predictions", "sanity"):
        mine, theirs = (path / f"{name}.parquet" for path in (tmp_path, trained / "attack"))
        assert mine.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("attacks", "problem"),
    [
        ({"worst": ATTACKS["pgd"]}, "cannot be called"),
        ({"x": {"classifier_attack": "pgdd"}}, "did you mean 'pgd'"),
        ({"x": {"classifier_attack": "pgd", "options": {"epz": 1}}}, "unexpected keyword"),
    ],
)
def test_bad_settings_are_named(tmp_path, trained, folder, attacks, problem):
    what = identity("none", {}, data={"per_class": 80}, epochs=5)
    with pytest.raises(GauntletError, match=problem):
        evaluate.run(what, {"attacks": attacks}, [0], trained / "model.safetensors", tmp_path, "cpu", folder)


def test_absent_weights_are_named(tmp_path, folder):
    with pytest.raises(GauntletError, match="train the model first"):
        evaluate.run(identity(), {}, [0], tmp_path / "model.safetensors", tmp_path, "cpu", folder)


def test_a_set_without_classes_to_spare_has_means_for_all():
    images = Images(torch.rand(4, 1, 3, 3), torch.tensor([0, 0, 3, 3]))
    logits = checks.means(images)(images.pixels)
    assert logits.shape == (4, 4)
    assert np.isfinite(logits.numpy()).all()
