"""Trials on photos: decoded as they are wanted, searched in a gallery where the set has one."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
import toy
from PIL import Image

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.digest import PACKAGE, _closure
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet
from gauntlet.core.registry import module_path
from gauntlet.core.tables.attacks import COLUMNS
from gauntlet.data.crops import CentreCrop
from gauntlet.data.photos import open_set
from gauntlet.families.dml import checkpoints, evaluate, train
from gauntlet.families.dml.settings import Data, Evaluate, evaluate_methods, train_methods
from gauntlet.families.dml.split import class_split
from gauntlet.families.dml.target import Target
from gauntlet.families.dml.trial import Trial
from gauntlet.metrics.retrieval import recall_at_k
from gauntlet.models import build

SIZE = 16
EVALUATE = {
    "attacks": ["nearest_positive", "joint_pair"],
    "eps": 0.1,
    "step": 0.05,
    "steps": 2,
    "kmeans_runs": 2,
    "sanity_images": 8,
    "sanity_steps": 4,
}


def write(folder, name, labels, rng, broken=None):
    """One split: photos of several sizes, a pattern of colours per class. Photo ``broken`` ends too early."""
    photos = []
    for row, label in enumerate(labels):
        pattern = np.random.default_rng(label).integers(0, 256, (3, 3, 3), dtype=np.uint8)
        size = tuple(rng.integers(24, 48, 2).tolist())
        image = Image.fromarray(pattern).resize(size, Image.Resampling.NEAREST)
        noisy = np.asarray(image, dtype=np.int16) + rng.integers(-20, 20, (*size[::-1], 3))
        out = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, "JPEG")
        photos.append(out.getvalue()[: len(out.getvalue()) // (2 if row == broken else 1)])
    (folder / f"{name}_images.bin").write_bytes(b"".join(photos))
    np.save(folder / f"{name}_offsets.npy", np.cumsum([0, *map(len, photos)]))
    np.save(folder / f"{name}_labels.npy", np.array(labels, dtype=np.uint8))
    (folder / f"{name}_names.txt").write_text("".join(f"{name}/{i}.jpg\n" for i in range(len(photos))))


@pytest.fixture(scope="module", params=[False, True], ids=["itself", "gallery"])
def photos(request, tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    splits = {"train": [0, 1, 2] * 8, "test": [3, 4, 5] * 4}
    if request.param:
        splits["gallery"] = [5, 4, 3] * 6
    for name, labels in splits.items():
        write(folder, name, labels, rng)
    facts = {"name": "toy", "classes": list("abcdef"), **{name: len(part) for name, part in splits.items()}}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return open_set("toy", folder)


@pytest.fixture
def trial(photos, monkeypatch, tmp_path):
    """Trains and attacks one network on the photos; the folder of its tables."""
    monkeypatch.setattr(data, "load", lambda name, folder=None: photos)
    what = toy.identity(data={"train_classes": None, "train_per_class": None, "photo_size": SIZE}, epochs=6)

    def run(folder):
        train.run(what, [0], folder, None, "cpu")
        evaluate.run(what, EVALUATE, [0], folder / "model.safetensors", folder / "attack", "cpu")
        return folder

    return run


def test_a_trial_on_photos_learns_repeats_and_searches_where_it_should(trial, photos, tmp_path):
    folder = trial(tmp_path / "a")
    scores = read_parquet(folder / "attack/scores.parquet")
    assert list(scores.columns) == list(COLUMNS["scores"])
    clean = scores[(scores["attack"] == "clean") & (scores["metric"] == "recall@1")]["value"].item()
    assert clean > 0.7

    split = class_split(photos, Data(photo_size=SIZE), 0)
    net = checkpoints.load(folder / "model.safetensors", 0, "conv", 3, SIZE)
    test = net(split.test.view())
    if photos.gallery is None:
        expected = recall_at_k(test, test, split.test_labels, split.test_labels, [1], np.arange(12))
    else:
        found = net(split.gallery.view())
        expected = recall_at_k(test, found, split.test_labels, split.gallery_labels, [1])
    assert clean == pytest.approx(expected[1])

    again = trial(tmp_path / "b")
    for name in ("model.safetensors", "attack/scores.parquet"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_training_sees_random_boxes_and_testing_the_centre(photos):
    images = class_split(photos, Data(photo_size=SIZE), 0, scale=(0.5, 0.6)).train
    rows = torch.tensor([3, 0])
    (seen,) = images.epoch([rows], "cpu", seed=0, epoch=1)
    (other,) = images.epoch([rows], "cpu", seed=0, epoch=2)
    assert seen.shape == (2, 3, SIZE, SIZE)
    assert not torch.equal(seen, other)
    assert images.cut.scale == (0.5, 0.6)
    crop = CentreCrop(SIZE, round(SIZE * 256 / 224))
    expected = torch.stack([photos.train.view(row, crop) for row in rows.tolist()]) / 255
    torch.testing.assert_close(images.view(rows), expected)


def target(photos, **changes):
    split = class_split(photos, Data(photo_size=SIZE), 0)
    torch.manual_seed(0)
    net = build("conv", 3, SIZE, 8).eval().requires_grad_(False)
    gallery = None
    if split.gallery is not None:
        gallery = split.gallery, torch.from_numpy(split.gallery_labels)
    settings = Evaluate(**{**EVALUATE, **changes})
    return Target(net, split.test, torch.from_numpy(split.test_labels), settings, 0, gallery), split


def test_a_photo_that_is_tested_is_decoded_once(photos, monkeypatch):
    decoded = []
    really = type(photos.test).view
    monkeypatch.setattr(
        type(photos.test), "view", lambda self, row, *a: decoded.append(row) or really(self, row, *a)
    )
    images = class_split(photos, Data(photo_size=SIZE), 0).test
    first = images.view(torch.tensor([5, 2]))
    whole = images.view()
    assert sorted(decoded) == list(range(12))
    assert torch.equal(whole[torch.tensor([5, 2])], first)
    whole.zero_()  # a new tensor each time
    assert images.view().max() > 0
    torch.testing.assert_close(images.mean(), images.view().mean(0))
    some = images.take(torch.tensor([7, 1, 4]))
    assert torch.equal(some.view(), images.view(torch.tensor([7, 1, 4])))


def test_attacks_on_queries_know_the_gallery_and_not_the_other_queries(photos):
    found, split = target(photos)
    if split.gallery is None:
        wanted, labels = found.clean, split.test_labels
    else:
        wanted, labels = found.net(split.gallery.view()), split.gallery_labels
    method = found.method("nearest_positive")
    for row, own in enumerate(split.test_labels):
        others = [
            j for j, label in enumerate(labels) if label == own and (split.gallery is not None or j != row)
        ]
        nearest = min(others, key=lambda j: float(torch.dist(found.clean[row], wanted[j])))
        torch.testing.assert_close(method.targets[row], wanted[nearest])
    joint = found.method("joint_pair")
    assert len(joint.clean) == 12


def test_a_trial_does_not_depend_on_how_many_photos_are_attacked_at_once(photos, monkeypatch):
    """Of 12 photos, 5 at a time: those of the joint attack wait in host memory."""
    attacks = {"nearest_positive": {"restarts": 2}, "joint_pair": {"restarts": 2}, "margin": {}}
    tables = []
    for batch in (1000, 5):
        monkeypatch.setattr("gauntlet.attacks.embedding.VALUES", batch * 3 * SIZE * SIZE)
        it, split = target(photos, attacks=attacks, eps_sweep=[0.05], fractions=[0.5])
        assert it.batch == batch
        trial = Trial(it, split.test_index, None)
        trial.measure()
        tables.append(pd.DataFrame(trial.rows["scores"]))
    pd.testing.assert_frame_equal(*tables, atol=1e-4)


def test_only_one_batch_of_photos_is_on_the_device(photos, monkeypatch):
    monkeypatch.setattr("gauntlet.attacks.embedding.VALUES", 5 * 3 * SIZE * SIZE)
    (it, split), sizes = target(photos), []
    really = type(split.test).view
    monkeypatch.setattr(
        type(split.test),
        "view",
        lambda self, rows=None, device="cpu": sizes.append(len(rows)) or really(self, rows, device),
    )
    for label in ("nearest_positive", "joint_pair"):
        it.embed(it.attack(label))
    it.of(it.net)
    assert max(sizes) == 5


@pytest.fixture
def truncated(tmp_path):
    """A set whose test photo 7 and training photo 10 break off."""
    rng = np.random.default_rng(0)
    for name, labels in {"train": [0, 1, 2] * 8, "test": [3, 4, 5] * 4}.items():
        write(tmp_path, name, labels, rng, broken={"train": 10, "test": 7}[name])
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": list("abcdef"), "train": 24, "test": 12}))
    return open_set("toy", tmp_path)


def test_a_photo_that_does_not_decode_is_named(truncated, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "load", lambda name, folder=None: truncated)
    what = toy.identity(data={"train_classes": None, "train_per_class": None, "photo_size": SIZE}, batch=24)
    with pytest.raises(GauntletError, match=r"toy: photo 10 of train \(train/10\.jpg\) does not decode"):
        train.run(what, [0], tmp_path / "out", None, "cpu")
    assert not (tmp_path / "out" / "model.safetensors").exists()
    with pytest.raises(
        GauntletError, match=r"toy: photo 7 of test \(test/7\.jpg\) does not decode"
    ) as caught:
        target(truncated)
    assert caught.value.file == tmp_path / "test_images.bin"
    assert "data fetch toy" in caught.value.remedy


def test_networks_of_arrays_do_not_depend_on_how_photos_are_cut():
    crops = PACKAGE / "data/crops.py"
    for dataset, depends in (("digits", False), ("cub200", True)):
        what = {**parse(train.Identity, toy.identity(), file="toy").model_dump(), "dataset": dataset}
        for step, methods in (("train", train_methods(what)), ("evaluate", evaluate_methods(what, EVALUATE))):
            roots = [PACKAGE / f"families/dml/{step}.py", *(module_path(*method) for method in methods)]
            assert (crops in _closure(roots)) == depends
