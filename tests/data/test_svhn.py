"""SVHN from miniature MATLAB files: axes, the digit 0, and every damage."""

import io

import numpy as np
import pytest
from handmade import facts, ten_classes
from scipy.io import savemat

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry
from gauntlet.data.readers.svhn import read

COUNTS = {"train": 2, "test": 1}
NAMES = {split: f"{split}_32x32.mat" for split in COUNTS}


@pytest.fixture(scope="module")
def arrays():
    """Images as they are seen (n, 3, 32, 32) and the digits (n,)."""
    random = np.random.default_rng(0)
    out = {}
    for split, per_class in COUNTS.items():
        out[f"{split}_images"] = random.integers(0, 256, (10 * per_class, 3, 32, 32), np.uint8)
        out[f"{split}_labels"] = random.permutation(np.repeat(np.arange(10), per_class))
    return out


def mat(images, digits, compress=True, **changes):
    """A file as the publisher makes it: images (32, 32, 3, n), labels (n, 1) with 10 for 0."""
    labels = np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]
    variables = {"X": images.transpose(2, 3, 1, 0), "y": labels, **changes}
    out = io.BytesIO()
    savemat(
        out, {name: value for name, value in variables.items() if value is not None}, do_compression=compress
    )
    return out.getvalue()


def files(arrays, **changes):
    return {split: mat(arrays[f"{split}_images"], arrays[f"{split}_labels"], **changes) for split in COUNTS}


def entry(contents, *sources, **changes):
    files = {split: {"name": NAMES[split], **facts(content)} for split, content in contents.items()}
    fields = {"reader": "svhn", "shape": [3, 32, 32], "counts": COUNTS, "files": files}
    return ten_classes(*sources, **{**fields, **changes})


def published(server, contents):
    for split, content in contents.items():
        server.content[f"/svhn/{NAMES[split]}"] = content
    listed = {NAMES[split]: facts(content) for split, content in contents.items()}
    return {"kind": "url", "bases": [f"{server.base}/svhn/"], "files": listed}


@pytest.mark.parametrize("compress", [True, False])
def test_the_published_files(arrays, server, tmp_path, compress):
    contents = files(arrays, compress=compress)
    target = fetch.obtain(entry(contents, published(server, contents)), tmp_path / "toy")
    for role, array in arrays.items():
        assert np.array_equal(np.load(target / f"{role}.npy"), array), role


def test_rows_columns_channels_and_images(tmp_path):
    images = np.zeros((10, 3, 2, 5), np.uint8)
    images[7, 2, 1, 4] = 200
    contents = {split: mat(images, np.arange(10)) for split in COUNTS}
    for split, content in contents.items():
        (tmp_path / NAMES[split]).write_bytes(content)
    counts = {"train": 1, "test": 1}
    found = read(
        {split: tmp_path / NAMES[split] for split in COUNTS}, entry(contents, shape=[3, 2, 5], counts=counts)
    )
    assert np.argwhere(found["train_images"]).tolist() == [[7, 2, 1, 4]]
    assert found["test_labels"].tolist() == list(range(10))


RANDOM = np.random.default_rng(1)
DAMAGE = {
    "no labels": ({"y": None}, "it has no y"),
    "images of another type": ({"X": RANDOM.random((32, 32, 3, 10))}, "X is float64"),
    "images of another size": ({"X": np.zeros((28, 28, 3, 10), np.uint8)}, r"X is uint8 \(28, 28, 3, 10\)"),
    "an image too few": ({"X": np.zeros((32, 32, 3, 9), np.uint8)}, r"\(32, 32, 3, 9\)"),
    "labels that are words": ({"y": np.array([["one"]] * 10, object)}, "y is no numbers"),
    "a label of 11": ({"y": np.full((10, 1), 11, np.uint8)}, "labels outside 1 to 10"),
    "a label of 0": ({"y": np.zeros((10, 1), np.uint8)}, "labels outside 1 to 10"),
    "one class only": ({"y": np.ones((10, 1), np.uint8)}, "per class"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(arrays, server, tmp_path, damage):
    """Their hashes are in the registry here, so that the reader meets them."""
    changes, reason = DAMAGE[damage]
    contents = files(arrays)
    contents["test"] = mat(arrays["test_images"], arrays["test_labels"], **changes)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(contents, published(server, contents)), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize(
    "content", [b"", b"MATLAB", b"\x89HDF\r\n" * 40], ids=["empty", "short", "another format"]
)
def test_what_is_no_matlab_file(arrays, tmp_path, content):
    contents = files(arrays)
    for split, whole in contents.items():
        (tmp_path / NAMES[split]).write_bytes(whole if split == "train" else content)
    with pytest.raises(GauntletError, match="not a MATLAB file of format 5"):
        read({split: tmp_path / NAMES[split] for split in COUNTS}, entry(contents))


def test_a_file_cut_short(arrays, tmp_path):
    contents = files(arrays)
    for split, whole in contents.items():
        (tmp_path / NAMES[split]).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GauntletError, match=r"not a MATLAB file|it has no y"):
        read({split: tmp_path / NAMES[split] for split in COUNTS}, entry(contents))


def test_a_set_for_training_alone(arrays, tmp_path, monkeypatch):
    """As "extra" is: one file, and nothing for testing."""
    content = mat(arrays["train_images"], arrays["train_labels"])
    (tmp_path / "extra_32x32.mat").write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path))
    files = {"train": {"name": "extra_32x32.mat", **facts(content)}}
    target = fetch.obtain(entry({}, files=files, counts={"train": 2}), tmp_path / "work" / "toy")
    assert np.array_equal(np.load(target / "train_images.npy"), arrays["train_images"])
    assert not (target / "test_images.npy").exists()


def test_the_extra_images_are_as_many_as_published():
    assert registry.entry("svhn-extra").examples("train") == 531_131
