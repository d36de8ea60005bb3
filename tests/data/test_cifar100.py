"""CIFAR-100 from miniature archives of its binary version: the fine labels, and every damage."""

import tarfile

import numpy as np
import pytest
from handmade import facts, tar, ten_classes

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.readers.cifar100 import read

ARCHIVE = "cifar-100-binary.tar.gz"
RECORD = 3074
CLASSES = ["apple", "aquarium_fish", "baby"]
COARSE = (4, 1, 14)  # of these classes, as published: none is the fine label
COUNTS = {"train": 3, "test": 1}


@pytest.fixture(scope="module")
def images():
    """(images, labels) by split, in no order of classes."""
    random = np.random.default_rng(0)
    return {
        split: (
            random.integers(0, 256, (3 * per_class, 3, 32, 32), np.uint8),
            random.permutation(np.repeat(np.arange(3, dtype=np.uint8), per_class)),
        )
        for split, per_class in COUNTS.items()
    }


def members(images):
    """The archive's files, as the publisher names them: coarse label, fine label, red, green, blue plane."""
    files = {
        f"{split}.bin": b"".join(
            bytes([COARSE[label], label]) + b"".join(plane.tobytes() for plane in image)
            for image, label in zip(pixels, labels.tolist(), strict=True)
        )
        for split, (pixels, labels) in images.items()
    }
    files |= {
        "coarse_label_names.txt": b"aquatic_mammals\nfish\n",
        "fine_label_names.txt": "".join(f"{name}\n" for name in CLASSES).encode(),
    }
    return {f"cifar-100-binary/{name}": content for name, content in files.items()}


def archive(content):
    return tar(*content.items(), mode="w:gz")


def entry(content, *sources, **changes):
    fields = {
        "reader": "cifar100",
        "classes": CLASSES,
        "shape": [3, 32, 32],
        "counts": COUNTS,
        "files": {"archive": {"name": ARCHIVE, **facts(content)}},
    }
    return ten_classes(*sources, **{**fields, **changes})


def obtain(content, server, tmp_path):
    return fetch.obtain(entry(content, server.source(**{ARCHIVE: content})), tmp_path / "toy")


def test_the_published_archive(images, server, tmp_path):
    target = obtain(archive(members(images)), server, tmp_path)
    for split, (pixels, labels) in images.items():
        assert np.array_equal(np.load(target / f"{split}_images.npy"), pixels)
        assert np.array_equal(np.load(target / f"{split}_labels.npy"), labels)
        assert np.load(target / f"{split}_labels.npy").dtype == np.uint8


def test_the_prepared_set_is_loaded(images, server, tmp_path, monkeypatch):
    content = archive(members(images))
    target = obtain(content, server, tmp_path)
    pinned = entry(content, prepared=prepared.hashes(target))
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", target)
    assert found.class_names == tuple(CLASSES)
    assert np.array_equal(found.train.images, images["train"][0])
    assert found.test.labels.tolist() == images["test"][1].tolist()


def test_the_archive_in_the_users_folder(images, tmp_path, monkeypatch):
    content = archive(members(images))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    target = fetch.obtain(entry(content), tmp_path / "toy")
    assert np.array_equal(np.load(target / "test_images.npy"), images["test"][0])


def test_planes_and_rows(tmp_path):
    """A byte of a record goes where the format says: 2 + 1024 plane + 32 row + column."""
    record = bytearray(RECORD)
    record[0], record[1], record[2 + 1024 * 2 + 32 * 5 + 7] = 14, 2, 200
    content = {
        "train.bin": b"",
        "test.bin": bytes(record),
        "fine_label_names.txt": b"apple\naquarium_fish\nbaby",
    }
    (tmp_path / ARCHIVE).write_bytes(archive(content))
    arrays = read({"archive": tmp_path / ARCHIVE}, entry(b"x"))
    assert np.argwhere(arrays["test_images"]).tolist() == [[0, 2, 5, 7]]
    assert arrays["test_images"].max() == 200
    assert arrays["test_labels"].tolist() == [2]
    assert arrays["train_images"].shape == (0, 3, 32, 32)


def change(name, function):
    def apply(content):
        path = f"cifar-100-binary/{name}"
        return {**content, path: function(content[path])}

    return apply


def drop(name):
    return lambda content: {path: body for path, body in content.items() if not path.endswith(name)}


DAMAGE = {
    "no training file": (drop("train.bin"), r"it has no train\.bin"),
    "no names": (drop("fine_label_names.txt"), r"it has no fine_label_names\.txt"),
    "a record cut short": (change("train.bin", lambda body: body[:-1]), "not whole records of 3074"),
    "a record too many": (change("test.bin", lambda body: body + body[:RECORD]), "test images are"),
    "a record too few": (change("test.bin", lambda body: body[RECORD:]), "test images are"),
    "far too many records": (change("test.bin", lambda body: body * 9), "larger than"),
    "an empty file": (change("train.bin", lambda body: b""), "train images are"),
    "a label of 3": (change("train.bin", lambda body: b"\0\x03" + body[2:]), "outside 0 to 2"),
    "labels of one class": (
        change(
            "test.bin",
            lambda body: b"".join(b"\0\0" + body[at + 2 : at + RECORD] for at in (0, RECORD, 6148)),
        ),
        "per class",
    ),
    "names of another set": (
        change("fine_label_names.txt", lambda body: b"airplane\nautomobile\nbird\n"),
        r"fine_label_names\.txt: its names are not the classes",
    ),
    "the names in another order": (
        change("fine_label_names.txt", lambda body: b"baby\napple\naquarium_fish\n"),
        "its names are not the classes",
    ),
    "CIFAR-10": (lambda content: {"cifar-10-batches-bin/test_batch.bin": b"x" * 3073}, "it has no"),
    "the pickled version": (
        lambda content: {"cifar-100-python/train": b"\x80\x04."},
        r"it has no .*train\.bin",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(images, server, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    alter, reason = DAMAGE[damage]
    with pytest.raises(GauntletError, match=reason):
        obtain(archive(alter(members(images))), server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


def test_an_archive_cut_short(images, server, tmp_path):
    """With its hash in the registry, too."""
    content = archive(members(images))
    with pytest.raises(GauntletError, match=r"unpack|archive"):
        obtain(content[: len(content) // 2], server, tmp_path)
    assert not (tmp_path / "toy").exists()


def test_a_file_that_is_a_link(images, server, tmp_path):
    link = tarfile.TarInfo("cifar-100-binary/test.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    content = tar(*drop("test.bin")(members(images)).items(), (link, b""), mode="w:gz")
    with pytest.raises(GauntletError, match="not a regular file"):
        obtain(content, server, tmp_path)


def test_the_entry_of_the_registry():
    """The names are in the order of the alphabet, as published."""
    real = registry.entry("cifar100")
    assert len(real.classes) == 100
    assert real.classes == sorted(real.classes)
    assert (real.examples("train"), real.examples("test")) == (50_000, 10_000)
    assert real.shape == [3, 32, 32]
