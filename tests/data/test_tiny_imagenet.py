"""Tiny ImageNet from a miniature archive in its layout: its pixels are those that torchvision decodes."""

import hashlib

import numpy as np
import pytest
import torch
from handmade import photo, ten_classes, zipped
from torchvision.io import ImageReadMode, decode_image

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry

ARCHIVE = "tiny-imagenet-200.zip"
FOLDER = "tiny-imagenet-200"
CLASSES = ["n01443537", "n01629819"]
#: Numbers of the training images, as they lie in the archive: not in their order, nor in that of text.
TRAINED = [10, 2, 0]
VALIDATION = [("val_1.JPEG", "n01629819"), ("val_0.JPEG", "n01443537")]


def image(number, mode="RGB"):
    return photo(number, (64, 64), mode)


@pytest.fixture(scope="module")
def members():
    """Path -> content: some files are grey; the test images and boxes are of no concern."""
    found = {"wnids.txt": b"n01629819\nn01443537", "words.txt": b"n01443537\tgoldfish\n"}
    for place, name in enumerate(reversed(CLASSES)):
        found[f"train/{name}/{name}_boxes.txt"] = b"x\t0\t0\t9\t9\n"
        for number in TRAINED:
            mode = "L" if number == 2 else "RGB"
            found[f"train/{name}/images/{name}_{number}.JPEG"] = image(20 * place + number, mode)
    found["test/images/test_0.JPEG"] = b"not read"
    for place, (name, _) in enumerate(VALIDATION):
        found[f"val/images/{name}"] = image(90 + place)
    lines = [f"{name}\t{kind}\t0\t32\t44\t62\n" for name, kind in VALIDATION]
    found["val/val_annotations.txt"] = "".join(lines).encode()
    return found


def entry(content, **changes):
    known = {"size": len(content), "md5": hashlib.md5(content).hexdigest()}  # all that is published
    fields = {
        "reader": "tiny_imagenet",
        "classes": CLASSES,
        "shape": [3, 64, 64],
        "counts": {"train": 3, "test": 1},
        "files": {"archive": {"name": ARCHIVE, **known}},
    }
    return ten_classes(**{**fields, **changes})


def obtain(members, tmp_path, monkeypatch):
    content = zipped(*((f"{FOLDER}/{path}", body) for path, body in members.items()))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return fetch.obtain(entry(content), tmp_path / "toy")


def seen(content):
    """The pixels by another decoder."""
    return decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB).numpy()


def test_the_published_archive(members, tmp_path, monkeypatch):
    """Training images by class and number, those for validation in the order of their list."""
    target = obtain(members, tmp_path, monkeypatch)
    expected = {
        "train": [f"train/{name}/images/{name}_{number}.JPEG" for name in CLASSES for number in (0, 2, 10)],
        "test": [f"val/images/{name}" for name, _ in VALIDATION],
    }
    for split, paths in expected.items():
        pixels = np.stack([seen(members[path]) for path in paths])
        assert np.array_equal(np.load(target / f"{split}_images.npy"), pixels)
    assert np.load(target / "train_labels.npy").tolist() == [0, 0, 0, 1, 1, 1]
    assert np.load(target / "test_labels.npy").tolist() == [1, 0]


FIRST = "train/n01443537/images/n01443537_0.JPEG"
DAMAGE = {
    "another class": ({"wnids.txt": b"n01629819\nn01443538"}, "its classes are not those of toy"),
    "a class less": ({"wnids.txt": b"n01629819\n"}, "its classes are not those of toy"),
    "no list": ({"val/val_annotations.txt": None}, "it has no .*val_annotations"),
    "a label of none": (
        {"val/val_annotations.txt": b"val_0.JPEG\tn00000001\t0\t0\t9\t9\n"},
        "n00000001 is none of the classes",
    ),
    "a line cut short": ({"val/val_annotations.txt": b"val_0.JPEG\tn01443537\n"}, "line 1 has 2 fields"),
    "an image too few": ({FIRST: None}, "it has 5 train images, not 6"),
    "a validation image that is not there": ({"val/images/val_0.JPEG": None}, r"it has no .*val_0\.JPEG"),
    "another size": (
        {FIRST: photo(1, (64, 63))},
        r"n01443537_0\.JPEG: it does not decode .*64x63, not 64x64",
    ),
    "no image": ({FIRST: b"<html>"}, r"n01443537_0\.JPEG: it does not decode"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(members, tmp_path, monkeypatch, damage):
    changes, reason = DAMAGE[damage]
    kept = {path: body for path, body in {**members, **changes}.items() if body is not None}
    with pytest.raises(GauntletError, match=reason):
        obtain(kept, tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


def test_the_entry_of_the_registry():
    real = registry.entry("tiny-imagenet")
    assert (len(set(real.classes)), real.examples("train"), real.examples("test")) == (200, 100_000, 10_000)
    assert real.classes == sorted(real.classes)
