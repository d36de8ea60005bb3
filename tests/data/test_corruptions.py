"""CIFAR-10-C and MNIST-C from miniature archives: every image under every condition, in one order."""

import io

import numpy as np
import pytest
from handmade import facts, tar, ten_classes, zipped

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import commands, fetch, prepared, registry, sizes

LABELS = np.random.default_rng(1).permutation(10)
SEVERITIES = 2
KINDS = ["fog", "snow", "blur"]


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version, allow_pickle=True)
    return out.getvalue()


def images(shape):
    return np.random.default_rng(2).integers(0, 256, shape, np.uint8)


class Cifar:
    """``<corruption>.npy``, with the severities one after the other; and the files in another order."""

    archive, reader, shape = "CIFAR-10-C.tar", "cifar10_c", [3, 32, 32]
    seen = images((len(KINDS), SEVERITIES, 10, 3, 32, 32))
    conditions = [f"{kind}/1..{SEVERITIES}" for kind in KINDS]
    first = "CIFAR-10-C/fog.npy"

    def members(self):
        found = {"labels": npy(np.tile(LABELS, SEVERITIES).astype(np.uint8))}
        for kind, part in reversed(list(zip(KINDS, self.seen, strict=True))):
            found[kind] = npy(np.moveaxis(part.reshape(-1, 3, 32, 32), 1, 3).copy())
        found["speckle"] = b"not read"
        return {f"CIFAR-10-C/{name}.npy": content for name, content in found.items()}

    def pack(self, members):
        return tar(*members.items(), mode="w")


class Mnist:
    """``<corruption>/test_images.npy``, and the images for training, which are left alone."""

    archive, reader, shape = "mnist_c.zip", "mnist_c", [1, 28, 28]
    seen = images((len(KINDS), 1, 10, 1, 28, 28))
    conditions = KINDS
    first = "mnist_c/fog/test_images.npy"

    def members(self):
        found = {}
        for kind, part in zip(KINDS, self.seen, strict=True):
            found[f"{kind}/train_images.npy"] = b"not read"
            found[f"{kind}/test_labels.npy"] = npy(LABELS)  # int64, as published
            found[f"{kind}/test_images.npy"] = npy(np.moveaxis(part[0], 1, 3).copy())
        return {f"mnist_c/{name}": content for name, content in found.items()}

    def pack(self, members):
        return zipped(*members.items())


@pytest.fixture(params=[Cifar(), Mnist()], ids=["CIFAR-10-C", "MNIST-C"])
def made(request):
    return request.param


def obtain(made, members, tmp_path, monkeypatch, **changes):
    content = made.pack(members)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / made.archive).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    fields = {
        "reader": made.reader,
        "shape": made.shape,
        "counts": {"test": 1},
        "conditions": made.conditions,
        "files": {"archive": {"name": made.archive, **facts(content)}},
    }
    entry = ten_classes(**{**fields, **changes})
    return fetch.obtain(entry, tmp_path / "toy"), ten_classes(**fields | changes)


def test_the_published_archive(made, tmp_path, monkeypatch):
    """There is nothing to train on; the images under one condition are those of its name."""
    target, entry = obtain(made, made.members(), tmp_path, monkeypatch)
    assert {path.name for path in target.iterdir()} == {"test_images.npy", "test_labels.npy", "dataset.json"}
    pinned = entry.model_copy(update={"prepared": prepared.hashes(target, entry.prepared_files)})
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    with pytest.raises(GauntletError, match="'toy' has no images for train; it has test"):
        data.load("toy", target)
    monkeypatch.setattr(registry, "names", lambda: ["toy"])
    (tmp_path / "datasets").mkdir()
    target = target.rename(tmp_path / "datasets" / "toy")
    monkeypatch.chdir(tmp_path)
    assert commands.verify(["toy"]) == ["toy"]
    (row,) = commands.status()
    assert (row["state"], row["train"], row["test"]) == ("prepared", 0, 10 * len(pinned.conditions))
    found = data.load("toy", splits=["test"])
    assert (found.train, found.validation) == (None, None)
    places = [(kind, level) for kind in range(len(KINDS)) for level in range(made.seen.shape[1])]
    for condition, (kind, level) in zip(found.conditions, places, strict=True):
        part = found.under(condition)
        assert KINDS[kind] == condition.split("/")[0]
        assert np.array_equal(part.images, made.seen[kind, level])
        assert part.labels.tolist() == LABELS.tolist()
    with pytest.raises(GauntletError, match="toy has no condition 'fogg'"):
        found.under("fogg")


def damage(made):
    shape = (10 * made.seen.shape[1], *made.shape[1:], made.shape[0])
    whole = made.members()[made.first]
    huge = npy(np.zeros((1, 1, 1, 1), np.uint8)).replace(b"(1, 1, 1, 1), }", b"(1<<40,1,1), } ")
    wide = npy(np.zeros((1, 1, 1, 1), np.uint8)).replace(b"(1, 1, 1, 1), }", b"(9999999999,),}")
    return {
        "missing": (None, "it has no "),
        "pickled": (npy(np.zeros(shape[0], object)), "object"),
        "of another type": (npy(np.zeros(shape, np.int8)), r"int8 .*not uint8"),
        "of wider numbers": (npy(np.zeros((shape[0] // 2, *shape[1:]), np.uint16)), "uint16"),
        "of another shape": (npy(np.zeros((shape[0] - 1, *shape[1:]), np.uint8)), "not the published array"),
        "of absurd dimensions": (wide, "not the published array"),
        "with a formula for a shape": (huge, "not the published array"),
        "of a format to come": (b"\x93NUMPY\x09\x00" + whole[8:], "not the published array"),
        "cut short": (whole[:-1], "it is cut short"),
        "cut in its header": (whole[:20], "not the published array"),
        "no array": (b"<html>", "not the published array"),
        "empty": (b"", "not the published array"),
    }


@pytest.mark.parametrize("kind", damage(Cifar()))
def test_a_damaged_file(made, tmp_path, monkeypatch, kind):
    """The archive's hash is in the registry here, so that the reader meets it."""
    content, reason = damage(made)[kind]
    members = {**made.members(), made.first: content}
    kept = {name: body for name, body in members.items() if body is not None}
    with pytest.raises(GauntletError, match=reason):
        obtain(made, kept, tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


def test_arrays_by_column_and_of_the_second_version(tmp_path, monkeypatch):
    """Both are of the same format."""
    made = Mnist()
    seen = np.moveaxis(made.seen[0, 0], 1, 3)
    members = {**made.members(), made.first: npy(np.asfortranarray(seen), version=(2, 0))}
    target, _ = obtain(made, members, tmp_path, monkeypatch)
    assert np.array_equal(np.load(target / "test_images.npy")[:10], made.seen[0, 0])


def test_other_labels_under_one_condition(tmp_path, monkeypatch):
    """The counts of the classes would not tell."""
    members = {**Mnist().members(), "mnist_c/blur/test_labels.npy": npy(np.roll(LABELS, 1))}
    with pytest.raises(GauntletError, match="labels under the condition blur are not those under fog"):
        obtain(Mnist(), members, tmp_path, monkeypatch)


def test_a_member_larger_than_it_can_be(tmp_path, monkeypatch):
    members = {**Cifar().members(), Cifar.first: bytes(200_000)}
    with pytest.raises(GauntletError, match="it has 200000 bytes"):
        obtain(Cifar(), members, tmp_path, monkeypatch)


def test_the_entries_of_the_registry():
    cifar, mnist = registry.entry("cifar10-c"), registry.entry("mnist-c")
    assert (len(set(cifar.conditions)), cifar.examples("test")) == (19 * 5, 950_000)
    assert cifar.conditions[5:7] == ["shot_noise/1", "shot_noise/2"]
    assert (len(set(mnist.conditions)), mnist.examples("test")) == (16, 160_000)
    assert sizes.taken("cifar10-c", "train", 5, classes=2) == sizes.taken("live", "test", classes=2) == 0
    assert sizes.prepared_bytes(registry.entry("cifar10-c")) == 950_000 * 3 * 32 * 32
    assert cifar.classes == registry.entry("cifar10").classes
    assert mnist.counts.test == registry.entry("mnist").counts.test
