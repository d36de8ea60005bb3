"""STL-10 from miniature archives: columns before rows, labels from 1, and every damage."""

import io
import tarfile

import numpy as np
import pytest
from handmade import facts, tar, ten_classes

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch
from gauntlet.data.readers.stl10 import read

ARCHIVE = "stl10_binary.tar.gz"
IMAGE = 3 * 96 * 96
COUNTS = {"train": 2, "test": 1}


@pytest.fixture(scope="module")
def arrays():
    """Images as they are seen (n, 3, 96, 96) and labels (n,) from 0 on, in no order of classes."""
    random = np.random.default_rng(0)
    out = {}
    for split, per_class in COUNTS.items():
        out[f"{split}_images"] = random.integers(0, 256, (10 * per_class, 3, 96, 96), np.uint8)
        out[f"{split}_labels"] = random.permutation(np.repeat(np.arange(10, dtype=np.uint8), per_class))
    return out


def members(arrays):
    """The archive's files, as the publisher names them: images column by column, labels from 1."""
    files = {"class_names.txt": b"airplane\n", "fold_indices.txt": b"0 1\n"}
    for split in COUNTS:
        seen = arrays[f"{split}_images"]
        files[f"{split}_X.bin"] = b"".join(
            image[plane, :, column].tobytes() for image in seen for plane in range(3) for column in range(96)
        )
        files[f"{split}_y.bin"] = bytes(int(label) + 1 for label in arrays[f"{split}_labels"])
    files["unlabeled_X.bin"] = bytes(5 * IMAGE)
    return {f"stl10_binary/{name}": content for name, content in files.items()}


def archive(content):
    return tar(*content.items(), mode="w:gz")


def entry(content, *sources, **changes):
    files = {"archive": {"name": ARCHIVE, **facts(content)}}
    fields = {"reader": "stl10", "shape": [3, 96, 96], "counts": COUNTS, "files": files}
    return ten_classes(*sources, **{**fields, **changes})


def published(server, content):
    server.content[f"/stl10/{ARCHIVE}"] = content
    return {"kind": "url", "bases": [f"{server.base}/stl10/"], "files": {ARCHIVE: facts(content)}}


def test_the_published_archive(arrays, server, tmp_path):
    content = archive(members(arrays))
    target = fetch.obtain(entry(content, published(server, content)), tmp_path / "toy")
    for role, array in arrays.items():
        assert np.array_equal(np.load(target / f"{role}.npy"), array), role
    assert not np.load(target / "train_images.npy", mmap_mode="r").flags.fnc


def test_the_archive_in_the_users_folder(arrays, tmp_path, monkeypatch):
    content = archive(members(arrays))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    target = fetch.obtain(entry(content), tmp_path / "toy")
    assert np.array_equal(np.load(target / "test_images.npy"), arrays["test_images"])


def test_planes_columns_and_rows(tmp_path):
    """A byte of an image goes where the format says; unequal sides cannot be taken for each other."""
    height, width = 2, 5
    image = bytearray(3 * height * width)
    image[height * width * 2 + height * 4 + 1] = 200  # plane 2, column 4, row 1
    content = {"train_X.bin": bytes(image), "train_y.bin": b"\x0a", "test_X.bin": b"", "test_y.bin": b""}
    (tmp_path / ARCHIVE).write_bytes(archive(content))
    found = read({"archive": tmp_path / ARCHIVE}, entry(b"x", shape=[3, height, width]))
    assert np.argwhere(found["train_images"]).tolist() == [[0, 2, 1, 4]]
    assert found["train_labels"].tolist() == [9]


def test_the_unlabelled_images_are_left_alone(arrays, tmp_path):
    """They are most of the archive, and its last file: whatever they are, nothing of them is read."""
    files = members(arrays)
    whole = tar(*files.items(), mode="w")
    with tarfile.open(fileobj=io.BytesIO(whole)) as opened:
        at = opened.getmember("stl10_binary/unlabeled_X.bin").offset_data
    (tmp_path / ARCHIVE).write_bytes(whole[: at + 100])
    found = read({"archive": tmp_path / ARCHIVE}, entry(b"x"))
    assert np.array_equal(found["train_images"], arrays["train_images"])


def change(name, function):
    def apply(content):
        path = f"stl10_binary/{name}"
        return {**content, path: function(content[path])}

    return apply


def drop(name):
    return lambda content: {path: body for path, body in content.items() if not path.endswith(name)}


DAMAGE = {
    "no labels": (drop("test_y.bin"), r"it has no test_y\.bin"),
    "an image cut short": (change("test_X.bin", lambda body: body[:-1]), "are not whole images of 27648"),
    "an image too few": (change("train_X.bin", lambda body: body[IMAGE:]), "19 images for 20 labels"),
    "an image too many": (change("train_X.bin", lambda body: body + body[:IMAGE]), "larger than"),
    "a label too few": (change("train_y.bin", lambda body: body[1:]), "20 images for 19 labels"),
    "a label of 0": (change("test_y.bin", lambda body: b"\x00" + body[1:]), "outside 0 to 9"),
    "a label of 11": (change("test_y.bin", lambda body: b"\x0b" + body[1:]), "outside 0 to 9"),
    "labels of one class": (change("test_y.bin", lambda body: b"\x01" * 10), "per class"),
    "no images at all": (
        lambda content: {path: b"" if path.endswith(".bin") else body for path, body in content.items()},
        "train images are",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(arrays, server, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    alter, reason = DAMAGE[damage]
    content = archive(alter(members(arrays)))
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(content, published(server, content)), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_an_archive_cut_short(arrays, tmp_path):
    """With its hash in the registry, too."""
    content = archive(members(arrays))
    (tmp_path / ARCHIVE).write_bytes(content[: len(content) // 2])
    with pytest.raises(GauntletError, match=r"unpack|archive"):
        read({"archive": tmp_path / ARCHIVE}, entry(b"x"))


def unlabelled(content, **changes):
    return entry(content, reader="stl10_unlabelled", classes=["unlabelled"], counts={"train": 3}, **changes)


def test_the_unlabelled_images(tmp_path, monkeypatch):
    """A set of its own, of the same archive: for training alone, and of one class."""
    seen = np.random.default_rng(1).integers(0, 256, (3, 3, 96, 96), np.uint8)
    content = archive({"stl10_binary/unlabeled_X.bin": seen.swapaxes(2, 3).tobytes()})
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    target = fetch.obtain(unlabelled(content), tmp_path / "toy")
    assert np.array_equal(np.load(target / "train_images.npy"), seen)
    assert np.load(target / "train_labels.npy").tolist() == [0, 0, 0]
    assert {path.name for path in target.iterdir()} == {
        "train_images.npy",
        "train_labels.npy",
        "dataset.json",
    }


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (3 * IMAGE - 1, "whole images"),
        (2 * IMAGE, r"\(2, 3, 96, 96\), not .*\(3, 3"),
        (4 * IMAGE, "larger than"),
    ],
)
def test_unlabelled_images_that_are_not_those(tmp_path, monkeypatch, length, reason):
    content = archive({"stl10_binary/unlabeled_X.bin": bytes(length)})
    (tmp_path / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path))
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(unlabelled(content), tmp_path / "work" / "toy")
