"""Federations under attack: what is measured, of whom, and what is left out or refused."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from toy_privacy import ALONE, SAMPLES, UPDATES, attacks, identity, measured, train, values

from gauntlet.cell import Cell
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar, sidecar_path
from gauntlet.data import registry
from gauntlet.families import weights
from gauntlet.families.federated import world
from gauntlet.families.privacy import evaluate, settings
from gauntlet.families.shadows import pool
from gauntlet.report.trials import open_cell

#: Federations that learn their images by heart, and that never learn.
BY_HEART = {"rounds": 12, "epochs": 10}
NEVER = {"rounds": 1, "lr": 1e-12}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Where cells are trained, once for all tests."""
    return tmp_path_factory.mktemp("cells")


def built(digits, what, seed=0):
    return world.build(digits, parse(settings.Data, what["data"], file="x"), seed, torch.device("cpu"))


def network(there, what, state, seed=0):
    net = there.network(what["architecture"], seed, "init")
    net.load_state_dict(state)
    return net.eval()


@torch.no_grad()
def losses(net, images):
    return F.cross_entropy(net(images.pixels), images.labels, reduction="none").numpy()


def test_who_learns_by_heart_is_found_out_and_who_never_learns_is_not(tmp_path, root, folder):
    """Four images of a class for 120 epochs, and a step that changes nothing."""
    found = {}
    for name, recipe in (("heart", BY_HEART), ("never", NEVER)):
        what = identity(data={"per_class": 4}, federated=recipe, shadows=None)
        how = attacks(["loss", "gap", "gradient_norm"])
        found[name] = measured(what, how, root, folder, tmp_path / name)["scores"]
    heart, never = values(found["heart"], "loss"), values(found["never"], "loss")
    assert heart["auc"] > 0.9
    assert heart["best_accuracy"] > 0.85
    assert abs(never["auc"] - 0.5) < 0.12  # 40 members and others: a deviation of 0.065
    assert values(found["heart"], "gradient_norm")["auc"] > 0.9
    clean = values(found["heart"], "clean")
    assert clean["train_accuracy"] == 1.0
    # The gap attack says "member" of what is right: all members, and the others that are.
    gap = values(found["heart"], "gap")
    assert 0.5 < gap["best_accuracy"] < 1.0
    assert "accuracy" not in gap  # no shadow model to choose a threshold on


def test_scores_are_those_of_the_final_model_on_the_candidates(tmp_path, root, folder, digits):
    what = identity()
    tables = measured(what, attacks(["loss"]), root, folder, tmp_path)
    target = train(what, root, folder)["target"]
    there = built(digits, what)
    candidates = pool.draw(there, 0)
    net = network(there, what, weights.read(target, 0))
    expected = roc_auc_score(candidates.member, -losses(net, candidates.images))
    found = values(tables["scores"], "loss")
    assert found["auc"] == pytest.approx(expected, abs=1e-6)
    assert set(found) == {"auc", "best_accuracy", "accuracy", "tpr_1", "tpr_1_low", "tpr_1_high"}
    curve = tables["roc"]
    assert set(curve["attack"]) == {"loss"}
    assert curve["fpr"].min() >= 1 / 120  # a single false alarm of 120
    assert curve["tpr"].is_monotonic_increasing
    assert curve["tpr"].iloc[-1] == 1.0
    at = curve.loc[np.isclose(curve["fpr"], 0.01), "tpr"]
    assert at.tolist() == [found["tpr_1"]]


def test_what_was_exchanged_and_learned_is_there_per_round(tmp_path, root, folder, digits):
    private = {"update_defense": "dp_sgd", "options": {"epsilon": 8.0}}
    for name, method in (
        ("plain", UPDATES),
        ("private", {**UPDATES, "defenses": [private]}),
        ("samples", SAMPLES),
    ):
        what = identity(method, shadows=None)
        tables = measured(what, attacks([]), root, folder, tmp_path / name)
        found = values(tables["scores"], "clean")
        target = train(what, root, folder)["target"]
        exchange = pd.read_parquet(target.parent / "exchange.parquet")
        assert found["up_bytes"] == exchange["up_bytes"].mean()
        assert found["down_bytes"] == exchange["down_bytes"].mean()
        rounds = pd.read_parquet(target.parent / "rounds.parquet")
        last = rounds[rounds["round"] == rounds["round"].max()]
        assert found["accuracy"] == pytest.approx(last["correct"].sum() / last["total"].sum())
        there = built(digits, what)
        state = {k: v for k, v in weights.read(target, 0).items() if not k.startswith("distilled.")}
        net = network(there, what, state)
        with torch.no_grad():
            right = net(there.train.pixels).argmax(1) == there.train.labels
        assert found["train_accuracy"] == pytest.approx(float(right.double().mean()))
        assert found.get("epsilon") == (exchange["epsilon"].iloc[-1] if name == "private" else None)
        assert tables["roc"].empty
        assert len(tables["samples"]) == (30 if name == "samples" else 0)  # 3 clients, 10 classes


def test_a_copied_image_is_found_by_its_distance(tmp_path, root, folder, digits):
    """``random_real`` shares 2 images per class and client: these members have distance 0, and no other
    image has. Of the rest nothing is known at that threshold."""
    what = identity(SAMPLES, shadows=None)
    how = attacks(["distilled_distance"])
    tables = measured(what, how, root, folder, tmp_path)
    shared = weights.read(train(what, root, folder)["target"], 0)["distilled.images"]
    members = 120
    found = values(tables["scores"], "distilled_distance")
    assert found["tpr_1"] == pytest.approx(len(shared) / members, abs=0.05)
    assert found["best_accuracy"] >= (1 + len(shared) / members) / 2 - 1e-9
    assert "accuracy" not in found  # a shadow model answers, and releases nothing
    samples = pd.read_parquet(train(what, root, folder)["target"].parent / "samples.parquet")
    pd.testing.assert_frame_equal(tables["samples"], samples)


def test_an_attack_on_samples_is_left_out_where_none_were_released(tmp_path, root, folder):
    how = attacks(["distilled_distance", "loss"])
    scores = measured(identity(shadows=None), how, root, folder, tmp_path)["scores"]
    assert set(scores["attack"]) == {"clean", "loss"}


def test_a_model_of_ones_own_is_asked_about_ones_own_images(tmp_path, root, folder, digits):
    what = identity(ALONE, shadows=None)
    scores = measured(what, attacks(["loss"]), root, folder, tmp_path)["scores"]
    tensors = weights.read(train(what, root, folder)["target"], 0)
    there = built(digits, what)
    candidates, found, tests, own = pool.draw(there, 0), [], [], []
    for client, rows in enumerate(there.rows):
        prefix = f"client{client}."
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        net = network(there, what, state)
        chosen = candidates.candidates(rows)
        found.append(roc_auc_score(candidates.member[chosen], -losses(net, candidates.images)[chosen]))
        with torch.no_grad():
            tests.append((net(there.test.pixels).argmax(1) == there.test.labels).double().mean())
            own.append((net(there.train.pixels[rows]).argmax(1) == there.train.labels[rows]).double().mean())
    assert values(scores, "loss")["auc"] == pytest.approx(np.mean(found), abs=1e-6)
    assert "tpr_1_low" not in values(scores, "loss")
    clean = values(scores, "clean")
    assert clean["accuracy"] == pytest.approx(np.mean(tests))
    assert clean["train_accuracy"] == pytest.approx(np.mean(own))


def test_an_attribute_is_inferred_from_what_enters_the_last_layer(tmp_path, root, folder, digits):
    what = identity(data={"plant": ["bright_patch", "noisy"]}, shadows=None)
    how = attacks([], ["representation"], auxiliary_per_class=6)
    scores = measured(what, how, root, folder, tmp_path)["scores"]
    assert set(scores[scores["attack"] == "representation"]["detail"]) == {"bright_patch", "noisy"}
    there = built(digits, what)
    trained = network(there, what, weights.read(train(what, root, folder)["target"], 0))
    first = there.network("convnet2", 0, "init").eval()
    few = np.concatenate([np.flatnonzero(there.held_out.labels == k)[:6] for k in range(10)])
    for name in ("bright_patch", "noisy"):
        bits, accuracies = there.attributes[name], []
        for net in (trained, first):

            def seen(images, net=net):
                with torch.no_grad():
                    features = torch.nn.Sequential(*list(net)[:-1])(images.pixels)
                return torch.cat([F.one_hot(images.labels, 10), features], dim=1).double().numpy()

            scale = StandardScaler().fit(seen(there.held_out)[few])
            model = LogisticRegression(max_iter=1000)
            model.fit(scale.transform(seen(there.held_out)[few]), bits.held_out[few])
            accuracies.append(model.score(scale.transform(seen(there.train)), bits.train))
        found = values(scores, "representation", detail=name)
        assert found["accuracy"] == pytest.approx(accuracies[0], abs=0.01)
        assert found["untrained"] == pytest.approx(accuracies[1], abs=0.01)
        assert found["gain"] == pytest.approx(found["accuracy"] - found["untrained"])
        assert found["advantage"] == pytest.approx(found["accuracy"] - found["imputation"])
        assert found["imputation"] == pytest.approx(0.5, abs=0.1)  # the class says nothing


def test_shadow_models_give_a_threshold_and_an_adversary_who_knows_more(tmp_path, root, folder):
    recipe = {"models": 6, "epochs": 40, "batch": 8, "lr": 0.1, "momentum": 0.5}
    what = identity(data={"per_class": 8}, federated=BY_HEART, shadows=recipe)
    how = attacks(["loss", "lira_online", "rmia"], candidates_per_class=8)
    scores = measured(what, how, root, folder, tmp_path)["scores"]
    for attack in ("loss", "lira_online", "rmia"):
        found = values(scores, attack)
        assert 0.6 < found["accuracy"] <= found["best_accuracy"], attack
    assert values(scores, "lira_online")["auc"] > 0.75


@pytest.mark.parametrize(
    ("what", "how", "says"),
    [
        (identity(shadows=None), attacks(["lira_online"]), "the attack needs shadows"),
        (
            identity(data={"held_out": 0, "test_per_class": 12}),
            attacks(["rmia"]),
            "the attack needs population",
        ),
        (identity(shadows=None), attacks(["summed_loss"]), "the attack needs history"),
        (identity(shadows=None), attacks([], ["representation"]), "data.plant: there is no attribute"),
        (identity(shadows=None), attacks([("loss", {"per_clas": True})]), "evaluate.membership.loss.options"),
    ],
)
def test_what_an_adversary_lacks_is_named(tmp_path, root, folder, what, how, says):
    with pytest.raises(GauntletError) as caught:
        measured(what, how, root, folder, tmp_path)
    assert says in str(caught.value)


def test_a_federation_that_is_not_there_or_says_nothing_of_its_cost_is_named(tmp_path, root, folder):
    what = identity(shadows=None)
    target = train(what, root, folder)["target"]
    arguments = (what, attacks(), [0], tmp_path / "out", "cpu", folder)
    with pytest.raises(GauntletError, match="train the federation first"):
        evaluate.run(*arguments, target=tmp_path / "model.safetensors")
    shutil.copy(target, tmp_path)
    with pytest.raises(GauntletError, match=r"model\.safetensors\.provenance\.json: no such file"):
        evaluate.run(*arguments, target=tmp_path / "model.safetensors")
    sidecar_path(tmp_path / "model.safetensors").write_text("{}")
    with pytest.raises(GauntletError, match="does not say what was exchanged"):
        evaluate.run(*arguments, target=tmp_path / "model.safetensors")


def test_weights_of_another_network_are_refused(tmp_path, root, folder):
    target = train(identity(shadows=None), root, folder)["target"]
    what = identity(architecture="convnet3", shadows=None)
    with pytest.raises(GauntletError, match="not weights of this network"):
        evaluate.run(what, attacks(), [0], tmp_path, "cpu", folder, target=target)


def test_sidecars_name_what_was_attacked(tmp_path, root, folder):
    what = identity()
    measured(what, attacks(), root, folder, tmp_path)
    sidecar = read_sidecar(tmp_path / "scores.parquet")
    weights = {str(path) for path in train(what, root, folder).values()}
    read = {f"data/digits/{file}" for file in registry.entry("digits").prepared}
    assert set(sidecar["inputs"]) == weights | read
    assert sidecar["config"] == {"identity": what, "evaluate": attacks(), "seeds": [0]}
    assert sidecar["code"] == Cell("privacy", "digits", "convnet2", "0", what, attacks()).attack_code()
    # The tracker dates a trial without a training of its own by its first job.
    spec = {"steps": {"attack": str(tmp_path)}, "tables": {"scores": str(tmp_path / "scores.parquet")}}
    assert open_cell(spec).training["step"] == "privacy attack"
