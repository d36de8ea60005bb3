"""CIFAR-10 from miniature archives and mosaics: both forms, one prepared set; and every damage."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from handmade import facts, tar, ten_classes
from PIL import Image

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared
from gauntlet.data.readers import mosaics
from gauntlet.data.readers.cifar import read
from gauntlet.data.sources import folder

ARCHIVE = "cifar-10-binary.tar.gz"
RECORD = 3073
LISTED = {"kind": "folder", "reader": "mosaics", "listing": "toy.yaml"}


@pytest.fixture(scope="module")
def images():
    """(images, labels) by split: 10 classes, five training images of each and one for testing."""
    random = np.random.default_rng(0)
    return {
        split: (random.integers(0, 256, (10 * per_class, 3, 32, 32), np.uint8), list(range(10)) * per_class)
        for split, per_class in (("train", 5), ("test", 1))
    }


def records(images, labels):
    """The binary version: label, red, green, blue plane."""
    return b"".join(
        bytes([label]) + b"".join(plane.tobytes() for plane in image)
        for image, label in zip(images, labels, strict=True)
    )


def members(images):
    """The archive's files, as the publisher names and orders them."""
    train, test = records(*images["train"]), records(*images["test"])
    batches = {f"data_batch_{k}.bin": train[(k - 1) * 10 * RECORD : k * 10 * RECORD] for k in (5, 1, 4, 3, 2)}
    files = {"batches.meta.txt": b"airplane\n", **batches, "readme.html": b"<html>", "test_batch.bin": test}
    return {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}


def archive(content):
    return tar(*content.items(), mode="w:gz")


def mosaic(tiles, columns):
    """A lossless WebP image of the tiles, row by row."""
    rows = [np.concatenate(tiles[at : at + columns], axis=2) for at in range(0, len(tiles), columns)]
    out = io.BytesIO()
    whole = np.concatenate(rows, axis=1).transpose(1, 2, 0)
    Image.fromarray(whole).save(out, "WEBP", lossless=True)
    return out.getvalue()


def mosaic_files(images):
    """Two mosaics of 5x5 and one of 2x5 tiles, sorted by class, and the labels."""
    files = {}
    for split, (pixels, labels) in images.items():
        order = np.argsort(labels, kind="stable")
        tiles = pixels[order]
        for number, at in enumerate(range(0, len(tiles), 25)):
            files[f"{split}-{number:03}.webp"] = mosaic(tiles[at : at + 25], 5)
        files[f"{split}-labels.txt"] = "".join(f"{labels[k]}\n" for k in order).encode()
    return files


def entry(content, *sources, **changes):
    files = {"archive": {"name": ARCHIVE, **facts(content)}}
    fields = {"reader": "cifar", "shape": [3, 32, 32], "counts": {"train": 5, "test": 1}, "files": files}
    return ten_classes(*sources, **{**fields, **changes})


def expected(images):
    """Sorted by (label, SHA-256 of the pixels)."""
    arrays = {}
    for split, (pixels, labels) in images.items():
        rows = [
            (label, hashlib.sha256(image.tobytes()).digest(), image)
            for image, label in zip(pixels, labels, strict=True)
        ]
        rows.sort(key=lambda row: row[:2])
        arrays[f"{split}_images"] = np.stack([row[2] for row in rows])
        arrays[f"{split}_labels"] = np.array([row[0] for row in rows], np.uint8)
    return arrays


def assert_prepared(target, images):
    for role, array in expected(images).items():
        assert np.array_equal(np.load(target / f"{role}.npy"), array), role


def published(server, content):
    server.content[f"/kriz/{ARCHIVE}"] = content
    return {"kind": "url", "bases": [f"{server.base}/kriz/"], "files": {ARCHIVE: facts(content)}}


@pytest.fixture
def store(images, tmp_path, monkeypatch):
    """The user's folder with the mosaics in toy/, among other things; and their listing."""
    files = mosaic_files(images)
    root = tmp_path / "store"
    for place, content in (("toy", files), ("another", dict.fromkeys(files, b"other"))):
        (root / place).mkdir(parents=True)
        for name, body in content.items():
            (root / place / name).write_bytes(body)
    lines = [f"  {name}: {facts(content)}" for name, content in files.items()]
    (tmp_path / "listings").mkdir()
    (tmp_path / "listings" / "toy.yaml").write_text("files:\n" + "\n".join(lines).replace("'", "") + "\n")
    monkeypatch.setattr(folder, "LISTINGS", tmp_path / "listings")
    monkeypatch.setenv("GAUNTLET_DATA", str(root))
    return root


def test_the_published_archive(images, server, tmp_path):
    content = archive(members(images))
    target = fetch.obtain(entry(content, published(server, content)), tmp_path / "toy")
    assert_prepared(target, images)


@pytest.mark.parametrize("layout", ["toy", "", "deep/er"])
def test_the_archive_in_the_users_folder(images, tmp_path, monkeypatch, layout):
    content = archive(members(images))
    (tmp_path / "store" / layout).mkdir(parents=True)
    (tmp_path / "store" / layout / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    target = fetch.obtain(entry(content, {"kind": "dvc"}), tmp_path / "toy")
    assert_prepared(target, images)


def test_mosaics_give_the_same_bytes(images, server, store, tmp_path):
    content = archive(members(images))
    one = fetch.obtain(entry(content, LISTED), tmp_path / "one" / "toy")
    assert_prepared(one, images)
    two = fetch.obtain(entry(content, published(server, content)), tmp_path / "two" / "toy")
    assert prepared.hashes(one) == prepared.hashes(two)


def test_planes_and_rows(tmp_path):
    """A byte of a record goes where the format says: 1 + 1024 plane + 32 row + column."""
    content = dict.fromkeys(members({split: ([], []) for split in ("train", "test")}), b"")
    record = bytearray(RECORD)
    record[0], record[1 + 1024 * 2 + 32 * 5 + 7] = 3, 200
    content["cifar-10-batches-bin/test_batch.bin"] = bytes(record)
    (tmp_path / ARCHIVE).write_bytes(archive(content))
    arrays = read({"archive": tmp_path / ARCHIVE}, entry(b"x", {"kind": "dvc"}))
    assert np.argwhere(arrays["test_images"]).tolist() == [[0, 2, 5, 7]]
    assert arrays["test_images"].max() == 200
    assert arrays["test_labels"].tolist() == [3]
    assert arrays["train_images"].shape == (0, 3, 32, 32)


def change(name, function):
    def apply(content):
        path = f"cifar-10-batches-bin/{name}"
        return {**content, path: function(content[path])}

    return apply


def drop(name):
    return lambda content: {path: body for path, body in content.items() if not path.endswith(name)}


DAMAGE = {
    "no batch 3": (drop("data_batch_3.bin"), r"no data_batch_3\.bin"),
    "no test batch": (drop("test_batch.bin"), r"no test_batch\.bin"),
    "a record cut short": (change("data_batch_2.bin", lambda body: body[:-1]), "not whole records of 3073"),
    "a record too many": (change("test_batch.bin", lambda body: body + body[:RECORD]), "larger than"),
    "a record too few": (change("test_batch.bin", lambda body: body[RECORD:]), "test images are"),
    "an empty batch": (change("data_batch_2.bin", lambda body: b""), "train images are"),
    "a label of 10": (change("data_batch_1.bin", lambda body: b"\x0a" + body[1:]), "outside 0 to 9"),
    "another label": (change("test_batch.bin", lambda body: b"\x01" + body[1:]), "per class"),
    "another set": (lambda content: {"cifar-100-binary/train.bin": b"x" * 3074}, "it has no data_batch_1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(images, server, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    alter, reason = DAMAGE[damage]
    content = archive(alter(members(images)))
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(content, published(server, content)), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_an_archive_that_is_not_the_registrys(images, server, tmp_path):
    content = archive(members(images))
    source = published(server, content)
    server.content[f"/kriz/{ARCHIVE}"] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(GauntletError, match="altered"):
        fetch.obtain(entry(content, source), tmp_path / "toy")


def test_a_batch_that_is_a_link(images, server, tmp_path):
    link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    content = tar(*drop("test_batch.bin")(members(images)).items(), (link, b""), mode="w:gz")
    with pytest.raises(GauntletError, match="not a regular file"):
        fetch.obtain(entry(content, published(server, content)), tmp_path / "toy")


def test_the_pickled_version_is_not_read(images, server, tmp_path):
    """Not even when it carries the name and the hash that are expected."""
    content = tar(("cifar-10-batches-py/data_batch_1", b"\x80\x04."), mode="w:gz")
    with pytest.raises(GauntletError, match="it has no data_batch_1"):
        fetch.obtain(entry(content, published(server, content)), tmp_path / "toy")


def test_mosaics_need_the_users_folder(images, tmp_path):
    with pytest.raises(GauntletError, match="GAUNTLET_DATA is not set"):
        fetch.obtain(entry(b"x", LISTED), tmp_path / "toy")


@pytest.mark.parametrize("name", ["train-001.webp", "test-labels.txt"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (None, "not there"),
        (lambda body: body[:-1], "truncated"),
        (lambda body: b"9" + body[1:], "altered"),
    ],
)
def test_a_damaged_file_of_the_users_folder(store, tmp_path, name, damage, reason):
    path = store / "toy" / name
    body = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(body))
    with pytest.raises(GauntletError, match=rf"{name}: {reason}"):
        fetch.obtain(entry(b"x", LISTED), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def transparent():
    out = io.BytesIO()
    Image.new("RGBA", (160, 160), (0, 0, 0, 128)).save(out, "WEBP", lossless=True)
    return out.getvalue()


def png():
    out = io.BytesIO()
    Image.new("RGB", (160, 160)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("train-001.webp", b"", "cannot identify"),
        ("train-001.webp", b"<html>Sorry</html>", "cannot identify"),
        ("train-001.webp", png(), "cannot identify"),
        ("train-001.webp", transparent(), r"\(160, 160, 4\)"),
        ("train-001.webp", mosaic(np.zeros((4, 3, 32, 31), np.uint8), 2), r"not one of 32x32 tiles"),
        ("train-001.webp", mosaic(np.zeros((4, 3, 32, 32), np.uint8), 2), "50 labels for 29 tiles"),
        ("train-001.webp", None, "cannot"),  # cut in half
        ("test-labels.txt", b"0\n1\n", "2 labels for 10 tiles"),
        ("test-labels.txt", b"0\ncat\n", "cat"),
        ("test-labels.txt", b"0\n-1\n", "-1"),
        ("test-labels.txt", b"\xff\xff", "decode"),
    ],
)
def test_a_file_that_is_not_a_mosaic_or_its_labels(store, tmp_path, name, body, reason):
    """The reader does not rely on the hashes."""
    files = {path.name: path for path in (store / "toy").iterdir()}
    if body is None:
        body = files[name].read_bytes()
        body = body[: len(body) // 2]
    files[name].write_bytes(body)
    with pytest.raises(GauntletError, match=reason) as caught:
        mosaics.read(files, entry(b"x", LISTED))
    assert caught.value.remedy
    assert caught.value.file.parent == store / "toy"


def test_a_listing_that_is_not_valid(store):
    (folder.LISTINGS / "toy.yaml").write_text("files:\n  train-000.webp: {size: 3}\n")
    (source,) = entry(b"x", LISTED).sources
    with pytest.raises(GauntletError, match="sha256") as caught:
        folder.listing(source)
    assert caught.value.file == folder.LISTINGS / "toy.yaml"
    assert caught.value.key == "files.train-000.webp"
