"""miniImageNet from miniature pickles of every protocol; whatever else a pickle would do is not done."""

import hashlib
import io
import pickle
import pickletools

import numpy as np
import pytest
from handmade import ten_classes

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.readers.pickles import byte_array, load_pickle

NAMES = {split: f"mini-imagenet-cache-{split}.pkl" for split in ("train", "validation", "test")}
CLASSES = {"train": ["n01", "n02"], "validation": ["n05"], "test": ["n03", "n04"]}
ORDER = [name for names in CLASSES.values() for name in names]
PER_CLASS = 3


@pytest.fixture(scope="module")
def content():
    """Split -> what its pickle holds: images as they are seen, rows of the classes mixed."""
    random = np.random.default_rng(0)
    found = {}
    for split, names in CLASSES.items():
        count = PER_CLASS * len(names)
        rows = random.permutation(count).reshape(len(names), PER_CLASS)
        found[split] = {
            "image_data": random.integers(0, 256, (count, 84, 84, 3), np.uint8),
            "class_dict": {name: listed.tolist() for name, listed in zip(names, rows, strict=True)},
        }
    return found


def python2(found):
    """The same pickle as Python 2 wrote it: bytes are text, and NumPy's functions have their old module."""
    out = io.BytesIO()
    images = found["image_data"]

    def text(value):
        return b"T" + len(value).to_bytes(4, "little") + value

    out.write(b"\x80\x02}(" + text(b"image_data"))
    out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R")
    shape = b"(" + b"".join(b"J" + side.to_bytes(4, "little") for side in images.shape) + b"t"
    out.write(b"(K\x01" + shape + b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R")
    out.write(
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + text(images.tobytes()) + b"tb"
    )
    out.write(text(b"class_dict") + pickle.dumps(found["class_dict"], 2)[2:-1] + b"u.")
    return out.getvalue()


WRITERS = {
    "Python 2": python2,
    "protocol 2": lambda found: pickle.dumps(found, 2),
    "protocol 3": lambda found: pickle.dumps(found, 3),
    "protocol 4": lambda found: pickle.dumps(found, 4),
    "by column": lambda found: pickle.dumps(
        {**found, "image_data": np.asfortranarray(found["image_data"])}, 4
    ),
}


def entry(files):
    listed = {
        split: {"name": NAMES[split], "size": len(body), "md5": hashlib.md5(body).hexdigest()}
        for split, body in files.items()
    }
    counts = dict.fromkeys(CLASSES, PER_CLASS)
    return ten_classes(
        reader="mini_imagenet",
        classes=ORDER,
        shape=[3, 84, 84],
        counts=counts,
        files=listed,
        train_classes=2,
        validation_classes=1,
    )


def obtain(files, tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    for split, body in files.items():
        (tmp_path / "store" / NAMES[split]).write_bytes(body)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return fetch.obtain(entry(files), tmp_path / "toy")


@pytest.mark.parametrize("writer", WRITERS)
def test_the_published_pickles(content, tmp_path, monkeypatch, writer):
    files = {split: WRITERS[writer](found) for split, found in content.items()}
    target = obtain(files, tmp_path, monkeypatch)
    for split, found in content.items():
        images = np.load(target / f"{split}_images.npy")
        assert np.array_equal(images, np.moveaxis(found["image_data"], 3, 1))
        labels = np.load(target / f"{split}_labels.npy")
        for name, rows in found["class_dict"].items():
            assert (labels[rows] == ORDER.index(name)).all()
    pins = prepared.hashes(target, entry(files).prepared_files)
    assert set(pins) == {path.name for path in target.iterdir()}
    pinned = entry(files).model_copy(update={"prepared": pins})
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    loaded = data.load("toy", target, splits=CLASSES)
    assert [len(getattr(loaded, split)) for split in CLASSES] == [6, 3, 6]
    assert set(loaded.validation.labels.tolist()) == {2}


def test_the_older_form_is_what_python_reads(content):
    """The hand-made pickle of Python 2, unpickled as its readers did."""
    found = pickle.loads(python2(content["test"]), encoding="latin1")
    assert np.array_equal(found["image_data"], content["test"]["image_data"])
    assert found["class_dict"] == content["test"]["class_dict"]


class Payload:
    """Runs a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def ran(path):
    path.write_text("ran")


HOSTILE = {
    "a call in place of the images": lambda found, call: {**found, "image_data": call},
    "a call beside them": lambda found, call: {**found, "more": [call]},
    "a call for a row": lambda found, call: {**found, "class_dict": {"n01": [call]}},
    "a call alone": lambda found, call: call,
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_is_executed(content, tmp_path, kind, protocol):
    """The same bytes do run when they are unpickled."""
    mark, path = tmp_path / "mark", tmp_path / "x.pkl"
    small = {"image_data": np.zeros((2, 1, 1, 3), np.uint8), "class_dict": {"n01": [0, 1]}}
    path.write_bytes(pickle.dumps(HOSTILE[kind](small, Payload(ran, mark)), protocol))
    with pytest.raises(GauntletError, match=r"refused: .*it calls .*ran"):
        load_pickle(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()


ALLOWED = b"cnumpy.core.multiarray\n_reconstruct\n"
PROGRAMS = {
    "a name of a class": b"c__builtin__\neval\n.",
    "a name in parts": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "an instance": b"(S'ls'\nios\nsystem\n.",
    "a number of a registered name": b"\x80\x02\x82\x01.",
    "a person's own object": b"Pname\n.",
    "a call of what is no function": b"]K\x01\x85R.",
    "a changed stand-in": ALLOWED + b"}U\x04nameU\x06os.sysu\x86b.",
    "a place that would take all memory": b"\x80\x02}r\xff\xff\xff\xff.",
    "text that would take all memory": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x0fa.",
    "cut short": b"\x80\x02}q\x00(X\x05\x00",
    "empty": b"",
    "no pickle": b"<html>",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_hostile_programs(tmp_path, program):
    path = tmp_path / "x.pkl"
    path.write_bytes(PROGRAMS[program])
    with pytest.raises(GauntletError, match="refused: not the published pickle"):
        byte_array(load_pickle(path), path)


def array_like(name="_reconstruct", kind="u1", shape=(1, 1, 1, 3), raw=b"abc"):
    """The pickle of an array, with parts exchanged."""
    body = pickle.dumps((shape, raw), 4)
    state = pickletools.optimize(body)[2:-1]
    frame = state[9:] if state[:1] == b"\x95" else state
    return (
        b"\x80\x04cnumpy.core.multiarray\n" + name.encode() + b"\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01" + frame.removesuffix(b"\x86")[: -len(pickle_bytes(raw))] + b"cnumpy\ndtype\n"
        b"\x8c" + bytes([len(kind)]) + kind.encode() + b"K\x00K\x01\x87RK\x00" + pickle_bytes(raw) + b"tb."
    )


def pickle_bytes(raw):
    return b"C" + bytes([len(raw)]) + raw


def test_an_array_of_bytes(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(array_like())
    assert byte_array(load_pickle(path), path).tolist() == [[[[97, 98, 99]]]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "O8"}, "not an array of bytes"),
        ({"kind": "i8"}, "not an array of bytes"),
        ({"shape": (1 << 40, 1 << 40, 1, 1)}, "3 bytes for the shape"),
        ({"shape": (-1, 1, 1, -3)}, "no array of bytes"),
        ({"raw": b"ab"}, "2 bytes for the shape"),
    ],
    ids=str,
)
def test_arrays_that_are_refused(tmp_path, changes, reason):
    path = tmp_path / "x.pkl"
    path.write_bytes(array_like(**changes))
    with pytest.raises(GauntletError, match=reason):
        byte_array(load_pickle(path), path)


DAMAGE = {
    "no dictionary": (lambda found: [1], "no image_data and class_dict"),
    "no classes": (lambda found: {"image_data": found["image_data"]}, "no image_data and class_dict"),
    "images that are text": (lambda found: {**found, "image_data": "x"}, "no array of bytes"),
    "a class of another split": (
        lambda found: {**found, "class_dict": {"n01": [0, 1, 2], "n04": [3, 4, 5]}},
        "test images per class are",
    ),
    "an unknown class": (
        lambda found: {**found, "class_dict": {"n99": [0]}},
        "'n99' is no class of toy",
    ),
    "a row twice": (
        lambda found: {**found, "class_dict": {"n03": [0, 1, 2], "n04": [2, 4, 5]}},
        "n04 has a row that is there twice",
    ),
    "a row of no class": (
        lambda found: {**found, "class_dict": {"n03": [0, 1, 2], "n04": [3, 4]}},
        "row 5 is of no class",
    ),
    "a row outside": (lambda found: {**found, "class_dict": {"n03": [0, 6]}}, "n03 has a row outside of 6"),
    "a negative row": (lambda found: {**found, "class_dict": {"n03": [-1]}}, "n03 has a row outside of 6"),
    "rows that are text": (lambda found: {**found, "class_dict": {"n03": ["a"]}}, "class_dict has no rows"),
    "a list of classes": (lambda found: {**found, "class_dict": ["n03"]}, "class_dict has no rows"),
    "images of another size": (
        lambda found: {**found, "image_data": found["image_data"][:, 1:]},
        r"test images are uint8 \(6, 3, 83, 84\)",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_pickle(content, tmp_path, monkeypatch, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    change, reason = DAMAGE[damage]
    files = {split: pickle.dumps(found, 4) for split, found in content.items()}
    files["test"] = pickle.dumps(change(content["test"]), 4)
    with pytest.raises(GauntletError, match=reason):
        obtain(files, tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


def test_the_entry_of_the_registry():
    """600 images of 64, 16 and 20 classes, and no class is in two parts."""
    real = registry.entry("mini-imagenet")
    assert len(set(real.classes)) == 100
    classes = {split: np.flatnonzero(real.per_class(split)).tolist() for split in real.splits}
    assert {split: len(labels) for split, labels in classes.items()} == {
        "train": 64,
        "validation": 16,
        "test": 20,
    }
    assert sorted(label for labels in classes.values() for label in labels) == list(range(100))
    assert {count for split in real.splits for count in real.per_class(split)} == {0, 600}
