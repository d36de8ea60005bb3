"""The work of jobs: counts by hand, and against the passes that finished jobs counted themselves."""

import json

import pandas as pd
import pytest
import torch

from gauntlet.core import registry
from gauntlet.data.sizes import form, taken
from gauntlet.defenses.classifiers.base import Model
from gauntlet.families.classifier import work as classifier
from gauntlet.families.classifier.settings import Evaluation, Method
from gauntlet.families.distilled import work as distilled
from gauntlet.families.dml import work as dml
from gauntlet.families.dml.settings import Evaluate
from gauntlet.families.federated import work as federated
from gauntlet.families.inversion import work as inversion
from gauntlet.families.privacy import work as privacy
from gauntlet.families.shadows import work as shadows
from gauntlet.families.stealing import work as stealing
from gauntlet.plan import load_plan

pytestmark = pytest.mark.usefixtures("at_the_root")

CLIENTS = {"clients": 5, "per_class": 20, "held_out": 4, "test_per_class": 10}


def identity(**parts):
    return {"dataset": "fashion-mnist", "architecture": "lenet", **parts}


def only(passes):
    (count,) = passes.values()
    return count


@pytest.mark.parametrize(("split", "per_class", "images"), [("train", None, 60000), ("test", 20, 200)])
def test_a_split_has_the_images_that_its_publisher_says(split, per_class, images):
    assert taken("fashion-mnist", split, per_class) == images


def test_half_of_the_classes_have_half_of_the_images_on_average():
    assert taken("fashion-mnist", "train", 200, classes=5) == 1000


def test_what_is_held_out_is_not_taken():
    assert taken("fashion-mnist", "train", held_out=100) == 10 * 5900
    assert form("fashion-mnist") == (1, 28)


def test_an_attribute_that_is_the_task_has_two_classes():
    """Half of the photos each, as far as a plan knows; attacks look at the private attributes twice."""
    assert taken("celeba", "train", 5000, held_out=500, task="Smiling") == 2 * 5000
    assert taken("celeba", "train", task="Smiling") == 162770
    data = {"clients": 10, "per_class": 100, "test_per_class": 50, "photo_size": 64, "task": "Smiling"}
    recipe = {"rounds": 2, "selected": 10, "epochs": 3, "batch": 10, "lr": 0.1}
    cell = {"dataset": "celeba", "architecture": "convnet3", "data": data, "train": recipe}
    assert only(federated.train(cell)) == 2 * (3 * 200 + 0.5 * 100)
    models = {"models": 4, "epochs": 5, "batch": 10, "lr": 0.1}
    assert only(shadows.train({**cell, "train": models})) == 4 * 5 * 100
    attacked = {
        **cell,
        "data": {**data, "private": ["Male", "Young"]},
        "train": {"federated": recipe, "distilled": {"rounds": 1}, "shadows": None},
    }
    attribute = {"attributes": {"representation": {"attribute_inference": "representation"}}}
    assert only(privacy.attack(attacked, attribute)) == 0.5 * (2 * 2 * 200 + 200 + 100)


def published():
    """Study, and the cells of its published manifests with the plan's cells of the same folders."""
    for scale in ("mini", "desk"):
        plan = load_plan(f"config/{scale}.yaml")
        for name, part in plan.studies.items():
            if not part.published.is_dir():
                continue
            manifest = json.loads((part.published / "manifest.json").read_text())
            known = {cell.train_folder.as_posix(): cell for *_, cell in part.cells}
            for cell in manifest["cells"]:
                if "train" in cell and cell["train"]["folder"] in known:
                    yield name, cell, known[cell["train"]["folder"]], part


def test_embedding_trainings_have_as_many_passes_as_they_counted():
    """All defenses of two studies. What a job drops of its last batch, and random miners, are a tenth."""
    seen = set()
    for _, cell, planned, _ in published():
        if planned.family != "dml":
            continue
        images = taken("fashion-mnist", "train", planned.identity["data"]["train_per_class"], 5)
        counted = cell["train"]["cost"]["per_seed"]["passes_per_image"]
        for passes in counted.values():
            assert only(dml.train(planned.identity)) / images == pytest.approx(passes, rel=0.1), cell[
                "method"
            ]
        seen.add(planned.identity["method"]["defense"])
    assert seen >= set(dml.PASSES)


def test_embedding_attacks_have_as_many_passes_as_they_counted():
    """The suite ``main`` alone: no sweep, and no image in the sanity suite."""
    for _, cell, planned, _ in published():
        if planned.family == "dml":
            evaluate = planned.evaluate | {"eps_sweep": [], "steps_sweep": [], "fractions": []}
            settings = Evaluate(
                **evaluate,
            )
            settings = settings.model_copy(update={"transfer": False, "sanity_images": 0})
            members = planned.identity["method"]["members"]
            counted = sum(cell["attack"]["cost"]["passes_per_image"].values())
            assert dml.attack_passes(settings, members, 100) == pytest.approx(100 * counted)


def test_sweeps_and_the_suite_of_embedding_attacks_by_hand():
    settings = Evaluate(
        attacks=["shift"], eps=0.1, step=0.02, steps=10, sweep_attack="shift", eps_sweep=[0.1, 0.2],
        steps_sweep=[5], fractions=[0.5, 1], sanity_images=4, sanity_steps=20, transfer=True,
    )  # fmt: skip
    # 10 steps; 10 at the other eps; 5 steps; half of the images; each member alone. Then of 4 images twice
    # the budget, two attacks of 20 steps, and the transfer, which is made on one network.
    assert dml.attack_passes(settings, 3, 100) == 3 * 100 * (10 + 10 + 5 + 5 + 10) + 4 * (3 * 50 + 10)


def test_federations_have_as_many_passes_as_they_counted():
    """Clients are picked at random; those with the most images are picked more often than the plan knows."""
    for _, cell, planned, part in published():
        if planned.family == "federated" and planned.identity["train"]["learn"] and cell["setting"] == "iid":
            table = pd.read_parquet(part.published / "training.parquet")
            rows = table[(table["method"] == cell["method"]) & (table["setting"] == "iid")]
            counted = rows.groupby("seed")["passes"].max().mean()
            own = federated.owned(planned.dataset, federated.Data(**planned.identity["data"]))
            tests = 0.5 * planned.identity["train"]["rounds"] * taken(planned.dataset, "test", 50)
            assert only(federated.train(planned.identity)) - tests == pytest.approx(counted * own)
            break
    else:
        pytest.fail("no such cell is published")


def test_a_federation_by_hand():
    train = {"rounds": 7, "selected": 2, "epochs": 3, "batch": 4, "lr": 0.1}
    # 200 images of 5 clients; each round 2 clients x 3 epochs x 40, and 100 test images forward
    assert only(federated.train(identity(data=CLIENTS, train=train))) == 7 * (2 * 3 * 40 + 50)
    assert federated.train(identity(data=CLIENTS, train=train | {"learn": False})) == {}


def test_an_inversion_by_hand():
    train = {"rounds": 4, "selected": 5, "batch": 4, "lr": 0.1, "observe": [1, 3]}
    evaluate = {
        "targets": 2,
        "iterations": 10,
        "restarts": 3,
        "attacks": {"a": {"inversion": "agic"}, "b": {"inversion": "agic", "rounds": 2, "restarts": 1}},
    }
    cell = identity(data=CLIENTS, train=train)
    assert only(inversion.attack(cell, evaluate)) == 2 * 40 * (3 * 10 + 1 * 10 * 2)
    assert only(inversion.train(cell)) == 4 * (5 * 40 + 50)
    # the last model; in two rounds what was sent, and what came back from five
    assert only(inversion.weights(cell)) == 1 + 2 * 6
    few = identity(data=CLIENTS, train=train | {"selected": 1, "observe": [1]})
    assert only(inversion.weights(few)) == 1 + 2
    assert only(inversion.attack(few, evaluate)) == 1 * 40 * (3 * 10 + 1 * 10 * 2)


def test_shadow_models_by_hand():
    train = {"models": 4, "epochs": 3, "batch": 4, "lr": 0.1}
    # 20 training and 10 test images of a class: 10 of both, of which every model learns half
    assert only(shadows.train(identity(data=CLIENTS, train=train))) == 4 * 3 * (2 * 10 * 10) / 2
    assert only(shadows.weights(identity(data=CLIENTS, train=train))) == 4


def test_attacks_on_privacy_by_hand():
    recipes = {
        "federated": {"rounds": 1, "selected": 1, "batch": 1, "lr": 0.1},
        "distilled": {"rounds": 1},
        "shadows": {"models": 4, "epochs": 3, "batch": 4, "lr": 0.1},
    }
    evaluate = {
        "membership": {"a": {"membership": "loss"}, "b": {"membership": "rmia"}},
        "attributes": {"c": {"attribute_inference": "representation"}},
    }
    cell = identity(data={**CLIENTS, "plant": ["noisy", "mirrored"]}, train=recipes)
    # 200 candidates through 4 shadow models and for 2 attacks; 200 images through 2 nets for 2 attributes;
    # 200 and 100 images for the accuracies; all forward
    assert only(privacy.attack(cell, evaluate)) == 0.5 * (200 * 6 + 2 * 2 * 200 + 300)


def test_distilled_data_by_hand():
    cell = identity(data=CLIENTS, train={"rounds": 3, "steps": 50})
    options = {"per_class": 2, "iterations": 10, "batch": 8}
    method = {"distillation": "distribution_matching", "options": options}
    # each client's updates see a batch and its 20 samples; then 50 steps on all clients' 100
    assert only(distilled.train(cell | {"method": method})) == 3 * (5 * 10 * 28 + 50 * 100)
    local = {"distillation": "local", "options": {"epochs": 2, "batch": 8}}
    assert only(distilled.train(cell | {"method": local})) == 3 * 2 * 200
    assert only(distilled.weights(cell | {"method": local})) == 5


def test_a_theft_by_hand():
    target = {"classifier": "vgg11_bn", "train": {"epochs": 1, "batch": 1, "lr": 0.1}}
    train = {"budget": 1000, "generator": "deconv", "measure_every": 100}
    cell = identity(data={"target": target, "test_per_class": 10}, train=train)
    thief, owner = ("classifier", "lenet"), ("classifier", "vgg11_bn")
    assert stealing.train(cell) == {thief: 1000, owner: 500}
    pgd = {"classifier_attack": "pgd", "options": {"eps": 0.1, "step": 0.02, "steps": 20}}
    evaluate = {"attacked_per_class": 5, "attacks": {"a": pgd, "b": pgd | {"targeted": True}}}
    # 100 test images through both; 50 attacked twice with 20 steps, and shown to the target
    assert stealing.attack(cell, evaluate) == {thief: 50 + 50 * 40, owner: 50 + 50}
    alike = identity(data={"target": target | {"classifier": "lenet"}}, train=train)
    assert stealing.train(alike) == {thief: 1500}


def test_thefts_ask_about_as_often_as_their_budget_allows():
    shares = [
        queries / planned.identity["train"]["budget"]
        for study, cell, planned, _ in published()
        if planned.family == "stealing" and cell["method"] != "knockoff"
        for queries in cell["train"]["cost"]["per_seed"]["queries"].values()
    ]
    assert len(shares) > 100
    assert 0.8 < min(shares) <= max(shares) <= 1


@pytest.mark.parametrize("name", registry.names("classifier_defense"))
def test_classifier_defenses_have_as_many_passes_as_they_count(name):
    options = {} if name == "none" else {"eps": 0.1, "step": 0.05, "steps": 3}
    model = Model(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)), torch.Generator())
    defense = registry.create("classifier_defense", name, options)
    defense.loss(model, torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1]))
    assert classifier.defense_passes(Method(classifier_defense=name, options=options)) == model.passes / 5


def test_a_classifier_by_hand():
    train = {"epochs": 3, "batch": 10, "lr": 0.1}
    cell = identity(data={"per_class": 100}, method={"classifier_defense": "none"}, train=train)
    assert only(classifier.train(cell)) == 3 * 1000
    pgd = {"classifier_attack": "pgd", "options": {"eps": 0.1, "step": 0.02, "steps": 20, "restarts": 2}}
    evaluate = {"test_per_class": 50, "attacked_per_class": 20, "attacks": {"a": pgd}}
    # 500 forward; 200 attacked; of 100 in the suite two of 20 steps and two of 100, each begun twice
    assert only(classifier.attack(cell, evaluate)) == 250 + 200 * 40 + 100 * 2 * (40 + 200)


@pytest.mark.parametrize(
    ("name", "options", "passes"),
    [
        ("fgsm", {"eps": 0.1}, 1),
        ("cw", {"lr": 0.1, "steps": 5, "searches": 10}, 50),
        ("square", {"eps": 0.1, "queries": 300}, 150),
        ("auto", {"eps": 0.1, "steps": 10, "targets": 9, "queries": 100}, 10 * 10 + 50),
    ],
)
def test_passes_of_attacks_on_classifiers(name, options, passes):
    assert classifier.attack_passes(Evaluation(classifier_attack=name, options=options)) == passes
