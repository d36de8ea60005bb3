"""Trials on photos: decoded as they are wanted, searched in a gallery where the set has one."""

import io
import json

import numpy as np
import pytest
import torch
import toy
from PIL import Image

from gauntlet import data
from gauntlet.core.files import read_parquet
from gauntlet.core.tables.attacks import COLUMNS
from gauntlet.data.crops import CentreCrop
from gauntlet.data.photos import open_set
from gauntlet.families.dml import checkpoints, evaluate, train
from gauntlet.families.dml.settings import Data
from gauntlet.families.dml.split import class_split
from gauntlet.metrics.retrieval import recall_at_k

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


def write(folder, name, labels, rng):
    """One split: photos of several sizes, one pattern of colours per class."""
    photos = []
    for label in labels:
        pattern = np.random.default_rng(label).integers(0, 256, (3, 3, 3), dtype=np.uint8)
        size = tuple(rng.integers(24, 48, 2).tolist())
        image = Image.fromarray(pattern).resize(size, Image.Resampling.NEAREST)
        noisy = np.asarray(image, dtype=np.int16) + rng.integers(-20, 20, (*size[::-1], 3))
        out = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, "JPEG")
        photos.append(out.getvalue())
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
    assert images.scale == (0.5, 0.6)
    crop = CentreCrop(SIZE, round(SIZE * 256 / 224))
    expected = torch.stack([photos.train.view(row, crop) for row in rows.tolist()]) / 255
    torch.testing.assert_close(images.view(rows), expected)
