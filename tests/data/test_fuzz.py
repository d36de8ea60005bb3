"""Damaged input of any kind: either it is read, or there is one GauntletError; nothing lands outside."""

import gzip
import io
import pickle
import tempfile
from contextlib import suppress
from pathlib import Path

import fuzzing
import numpy as np
import pytest
from handmade import deb, facts, idx, photo, photo_entry, tar, ten_classes, totals, zipped
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch
from gauntlet.data.extract import extract, read_members
from gauntlet.data.readers import ilsvrc2012
from gauntlet.data.readers.idx import read_idx

MEMBERS = [("a", b"one" * 50), ("b/c", b"two" * 50)]
ARCHIVES = {
    "x.tar": tar(*MEMBERS, mode="w"),
    "x.tar.gz": tar(*MEMBERS, mode="w:gz"),
    "x.tar.xz": tar(*MEMBERS),
    "x.gz": gzip.compress(b"one" * 50, mtime=0),
    "x.zip": zipped(*MEMBERS),
    "x.deb": deb(tar(*MEMBERS)),
}


@st.composite
def damaged(draw, content: bytes):
    """``content`` with some bytes overwritten, and perhaps cut."""
    out = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        out[draw(st.integers(0, len(out) - 1))] = draw(st.integers(0, 255))
    return bytes(out[: draw(st.integers(0, len(out)))]) if draw(st.booleans()) else bytes(out)


@pytest.mark.parametrize("name", ARCHIVES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_archives(name, data):
    with tempfile.TemporaryDirectory() as scratch:
        archive, into = Path(scratch) / name, Path(scratch) / "out"
        archive.write_bytes(data.draw(damaged(ARCHIVES[name])))
        into.mkdir()
        with suppress(GauntletError):  # the only exception allowed
            written = extract(archive, into, limit=20_000)
            assert all(path.resolve().is_relative_to(into.resolve()) for path in written)
        assert {path.name for path in Path(scratch).iterdir()} == {name, "out"}
        assert sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) <= 20_000


@settings(max_examples=200, deadline=None)
@given(content=damaged(idx(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))))
def test_idx(content):
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "x"
        path.write_bytes(content)
        with suppress(GauntletError):  # the only exception allowed
            assert read_idx(path).nbytes <= len(content)


@settings(max_examples=200, deadline=None)
@given(content=damaged(ARCHIVES["x.tar"]))
def test_members_of_archives(content):
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "x.tar"
        path.write_bytes(content)
        with suppress(GauntletError):  # the only exception allowed
            assert sum(map(len, read_members(path, {"a", "c"}, limit=300).values())) <= 300
        assert list(Path(scratch).iterdir()) == [path]


def _kit() -> bytes:
    synsets = np.zeros((2, 1), [(field, object) for field in ("ILSVRC2012_ID", "WNID", "words")])
    synsets[0, 0], synsets[1, 0] = (np.uint8(1), "n00000002", "fox"), (np.uint8(2), "n00000001", "tench")
    out = io.BytesIO()
    savemat(out, {"synsets": synsets})
    return out.getvalue()


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _with(head: dict[str, bytes], *photos: str) -> dict[str, bytes]:
    return head | {path: photo(number, (8, 8)) for number, path in enumerate(photos)}


#: By reader: the parts of a miniature; how they become files, role -> (name, content); the entry's fields.
SETS = {
    "cifar100": (
        {
            "fine_label_names.txt": b"apple\nbaby\n",
            "train.bin": bytes([4, 0, 9, 9, 14, 1, 7, 7]),
            "test.bin": bytes([14, 1, 5, 5, 4, 0, 3, 3]),
        },
        lambda parts: {"archive": ("x.tar.gz", tar(*parts.items(), mode="w:gz"))},
        {"classes": ["apple", "baby"], "shape": [1, 1, 2], "counts": {"train": 1, "test": 1}},
    ),
    "celeba": (
        _with(
            {
                "attributes": b"3\r\nMale Young \r\n1.jpg  1 -1\r\n2.jpg -1 -1\r\n3.jpg -1  1\r\n",
                "partition": b"1.jpg 0\r\n2.jpg 1\r\n3.jpg 2\r\n",
                "people": b"1.jpg 7\r\n2.jpg 9\r\n3.jpg 11\r\n",
            },
            "img_align_celeba/1.jpg",
            "img_align_celeba/2.jpg",
            "img_align_celeba/3.jpg",
        ),
        lambda parts: {
            **{role: (f"{role}.txt", parts[role]) for role in ("attributes", "partition", "people")},
            "images": ("x.zip", zipped(*((name, body) for name, body in parts.items() if "/" in name))),
        },
        {"counts": totals(train=(1, 1), test=(1, 1), validation=(1, 1)), "attributes": ["Male", "Young"]},
    ),
    "lfw": (
        _with(
            {
                "train": b"1\nA_B\t2\n",
                "test": b"1\nC\t1\n",
                "attributes": b"# v\n#\tperson\timagenum\tMale\nA B\t1\t1.5\nA B\t2\t-1.5\nC\t1\t0.25\n",
            },
            "lfw_funneled/A_B/A_B_0001.jpg",
            "lfw_funneled/A_B/A_B_0002.jpg",
            "lfw_funneled/C/C_0001.jpg",
        ),
        lambda parts: {
            **{role: (f"{role}.txt", parts[role]) for role in ("train", "test", "attributes")},
            "archive": ("x.tgz", tar(*((k, v) for k, v in parts.items() if "/" in k), mode="w:gz")),
        },
        {"counts": totals(train=(2, 1), test=(1, 1)), "attributes": ["Male"]},
    ),
    "ilsvrc2012": (
        _with(
            {ilsvrc2012.TRUTH: b"2\n1\n2\n1\n", ilsvrc2012.META: _kit()},
            *(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 5)),
        ),
        lambda parts: {
            "devkit": ("k.tar.gz", tar(*((k, v) for k, v in parts.items() if "/" in k), mode="w:gz")),
            "images": ("x.tar", tar(*((k, v) for k, v in parts.items() if "/" not in k), mode="w")),
        },
        {"counts": totals(train=(2, 2), test=(2, 2)), "zero_shot": False, "listing": "toy.yaml"},
    ),
    "tiny_imagenet": (
        {
            "wnids.txt": b"n00000001\nn00000002\n",
            "val/val_annotations.txt": b"val_0.JPEG\tn00000002\t0\nval_1.JPEG\tn00000001\t0\n",
            "val/images/val_0.JPEG": photo(0, (8, 8)),
            "val/images/val_1.JPEG": photo(1, (8, 8), "L"),
            "train/n00000001/images/n00000001_0.JPEG": photo(2, (8, 8)),
            "train/n00000002/images/n00000002_7.JPEG": photo(3, (8, 8)),
        },
        lambda parts: {
            "archive": (
                "x.zip",
                zipped(*((f"tiny-imagenet-200/{name}", part) for name, part in parts.items())),
            )
        },
        {"classes": ["n00000001", "n00000002"], "shape": [3, 8, 8], "counts": {"train": 1, "test": 1}},
    ),
    "mini_imagenet": (
        {
            split: pickle.dumps(
                {"image_data": np.full((1, 2, 3, 3), 200, np.uint8), "class_dict": {name: [0]}}, 2
            )
            for split, name in (("train", "n1"), ("validation", "n2"), ("test", "n3"))
        },
        lambda parts: {split: (f"{split}.pkl", part) for split, part in parts.items()},
        {
            "classes": ["n1", "n2", "n3"],
            "shape": [3, 2, 3],
            "counts": {"train": 1, "validation": 1, "test": 1},
            "train_classes": 1,
            "validation_classes": 1,
        },
    ),
    "mnist_c": (
        {
            f"mnist_c/{kind}/test_{name}.npy": _npy(array)
            for kind in ("fog", "snow")
            for name, array in (("images", np.ones((2, 2, 3, 1), np.uint8)), ("labels", np.arange(2)))
        },
        lambda parts: {"archive": ("x.zip", zipped(*parts.items()))},
        {"classes": ["0", "1"], "shape": [1, 2, 3], "counts": {"test": 1}, "conditions": ["fog", "snow"]},
    ),
    "kadid10k": (
        _with(
            {"dmos.csv": b"dist_img,ref_img,dmos,var\r\nI01_01_02.png,I01.png,4.5,0.2\r\n"},
            "images/I01.png",
            "images/I01_01_02.png",
        ),
        lambda parts: {"archive": ("x.zip", zipped(*parts.items()))},
        {
            "counts": totals(train=(1, 1), reference=(1, 1)),
            "attributes": ["type01"],
            "values": ["dmos", "level"],
        },
    ),
}


def publish(reader, files, store):
    """Put the files into ``store``, and give the entry that they fulfil."""
    fields = SETS[reader][2]
    for name, content in files.values():
        (store / name).write_bytes(content)
    (store / "toy.yaml").write_text("classes: {n00000001: [1, 3], n00000002: [2, 4]}")
    listed = {role: {"name": name, **facts(content)} for role, (name, content) in files.items()}
    return (ten_classes if "shape" in fields else photo_entry)(reader=reader, files=listed, **fields)


@pytest.mark.parametrize("reader", SETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sets(reader, data):
    """A part is damaged before it is packed, or a file of the publisher's, whose hash is the registry's here:
    the set is prepared whole, or there is one GauntletError and nothing is left."""
    parts, pack, _ = SETS[reader]
    if data.draw(st.booleans(), "before packing"):
        part = data.draw(st.sampled_from(sorted(parts)), "part")
        files = pack({**parts, part: data.draw(damaged(parts[part])) or b"\n"})
    else:
        files = pack(parts)
        role = data.draw(st.sampled_from(sorted(files)), "file")
        name, content = files[role]
        files[role] = (name, data.draw(damaged(content)) or b"\n")
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        store, target = Path(scratch) / "store", Path(scratch) / "work" / "toy"
        store.mkdir()
        entry = publish(reader, files, store)
        patch.setattr(ilsvrc2012, "LISTINGS", store)
        patch.setenv("GAUNTLET_DATA", str(store))
        with suppress(GauntletError):  # the only exception allowed
            fetch.obtain(entry, target)
            assert {path.name for path in target.iterdir()} == set(entry.prepared_files)
        assert {path.name for path in target.parent.iterdir()} <= {"toy", ".toy.lock"}
        assert {path.name for path in Path(scratch).iterdir()} <= {"store", "work"}


@pytest.mark.parametrize("reader", SETS)
def test_sets_that_are_whole(reader, tmp_path, monkeypatch):
    """What ``test_sets`` damages can be prepared."""
    parts, pack, _ = SETS[reader]
    entry = publish(reader, pack(parts), tmp_path)
    monkeypatch.setattr(ilsvrc2012, "LISTINGS", tmp_path)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path))
    assert fetch.obtain(entry, tmp_path / "work" / "toy").is_dir()


@pytest.mark.parametrize("reader", fuzzing.READERS)
def test_what_coverage_guided_fuzzing_found(reader, tmp_path):
    """Every input of the corpus is read or refused; anything else is raised here, or ends the process."""
    inputs = sorted((fuzzing.CORPUS / reader).iterdir())
    read = [fuzzing.read(reader, path.read_bytes(), tmp_path) for path in inputs]
    assert len(inputs) > 5
    assert any(read)
    assert not all(read)
