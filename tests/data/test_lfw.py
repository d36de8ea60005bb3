"""Labeled Faces in the Wild from miniature files in its formats: people, attributes, and every damage."""

import numpy as np
import pytest
from handmade import facts, packed, photo, photo_entry, tar, totals

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.photos import UNKNOWN

ATTRIBUTES = ["Male", "No Beard", "5 o' Clock Shadow"]
PEOPLE = {
    "train": [("Aaron_Eckhart", 1), ("Vicente_Fox_de_la_Concepcion", 3)],
    "test": [("AJ_Cook", 2), ("Zico", 1)],
}
CLASSES = ["AJ_Cook", "Aaron_Eckhart", "Vicente_Fox_de_la_Concepcion", "Zico"]
#: The publisher has no values for AJ_Cook's second photo.
VALUES = {
    ("Vicente_Fox_de_la_Concepcion", 2): (0.25, -1e-3, 0.0),
    ("Aaron_Eckhart", 1): (1.56834639173, -1.88904271738, 1.73720324618),
    ("Vicente_Fox_de_la_Concepcion", 1): (-0.1, 0.3, 2),
    ("Vicente_Fox_de_la_Concepcion", 3): (3.5, 1.5, -0.75),
    ("AJ_Cook", 1): (-2.25, 1.5, -0.75),
    ("Zico", 1): (1, -1, 1),
}
COUNTS = totals(train=(4, 2), test=(3, 2))
ARCHIVE, TRAIN, TEST, LIST = (
    "lfw-funneled.tgz",
    "peopleDevTrain.txt",
    "peopleDevTest.txt",
    "lfw_attributes.txt",
)


def member(person, number):
    return f"lfw_funneled/{person}/{person}_{number:04}.jpg"


def people(rows, count=None):
    lines = [len(rows) if count is None else count, *(f"{name}\t{number}" for name, number in rows)]
    return "".join(f"{line}\n" for line in lines).encode()


def table(values, names=ATTRIBUTES):
    rows = [
        "\t".join([name.replace("_", " "), str(number), *map(str, found)]) for (name, number), found in values
    ]
    lines = ["# lfw_attributes.txt v1.0", "\t".join(["#", "person", "imagenum", *names]), *rows]
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture(scope="module")
def faces():
    members = [member(name, k + 1) for rows in PEOPLE.values() for name, count in rows for k in range(count)]
    return {name: photo(index, (25, 25)) for index, name in enumerate(members)}


@pytest.fixture(scope="module")
def files(faces):
    return {
        ARCHIVE: tar(("lfw_funneled/pairs_01.txt", b"300\n"), *reversed(faces.items()), mode="w:gz"),
        TRAIN: people(PEOPLE["train"]),
        TEST: people(PEOPLE["test"]),
        LIST: table(VALUES.items()),
    }


def entry(files, *sources, **changes):
    roles = {"archive": ARCHIVE, "train": TRAIN, "test": TEST, "attributes": LIST}
    fields = {
        "reader": "lfw",
        "counts": COUNTS,
        "attributes": ATTRIBUTES,
        "files": {role: {"name": name, **facts(files[name])} for role, name in roles.items()},
    }
    return photo_entry(*sources, **{**fields, **changes})


def obtain(files, server, tmp_path):
    return fetch.obtain(entry(files, server.source(**files)), tmp_path / "toy")


def test_the_published_files(files, faces, server, tmp_path):
    target = obtain(files, server, tmp_path)
    for split, rows in PEOPLE.items():
        expected = [
            (member(name, k + 1), CLASSES.index(name), faces[member(name, k + 1)])
            for name, count in rows
            for k in range(count)
        ]
        assert packed(target, split) == expected
    bits = {split: np.load(target / f"{split}_attributes.npy") for split in PEOPLE}
    assert bits["train"].tolist() == [[1, 0, 1], [0, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert bits["test"].tolist() == [[0, 1, 0], [UNKNOWN] * 3, [1, 0, 1]]
    assert bits["test"].dtype == np.uint8


def test_the_prepared_set_is_loaded(files, server, tmp_path, monkeypatch):
    target = obtain(files, server, tmp_path)
    pinned = entry(files, prepared=prepared.hashes(target, entry(files).prepared_files))
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", target)
    assert found.class_names == tuple(CLASSES)
    assert found.attribute_names == tuple(ATTRIBUTES)
    assert found.validation is None
    assert found.test.attributes.shape == (3, 3)


def test_torchvision_lists_the_same_photos(files, server, tmp_path, monkeypatch):
    from torchvision.datasets import LFWPeople

    target = obtain(files, server, tmp_path)
    root = tmp_path / "torchvision" / "lfw-py"
    root.mkdir(parents=True)
    for name in (TRAIN, TEST):
        (root / name).write_bytes(files[name])
    counts = dict([*PEOPLE["train"], *PEOPLE["test"]])
    (root / "lfw-names.txt").write_text("".join(f"{name}\t{counts[name]}\n" for name in CLASSES))
    monkeypatch.setattr(LFWPeople, "_check_integrity", lambda self: True)
    for split in ("train", "test"):
        reference = LFWPeople(root.parent, split=split, image_set="funneled")
        ours = packed(target, split)
        assert [str(root / name) for name, *_ in ours] == list(reference.data)
        assert [label for _, label, _ in ours] == reference.targets


def test_a_base_that_numbers_its_files(files, server, tmp_path):
    """As figshare does; of one file, the size is not known."""
    source = server.source(**files)
    server.content["/files/5976015"] = server.content.pop(f"/files/{ARCHIVE}")
    with pytest.raises(GauntletError, match="404"):
        fetch.obtain(entry(files, source), tmp_path / "toy")
    source["files"][ARCHIVE]["alias"] = "5976015"
    source["files"][LIST]["most"] = source["files"][LIST].pop("size") + 1
    target = fetch.obtain(entry(files, source), tmp_path / "toy")
    assert len(packed(target, "train")) == 4
    at = server.requests.index("/files/5976015")
    assert server.requests[at - 1] == f"/files/{ARCHIVE}"


def test_a_file_of_unknown_size_has_a_limit(files, server, tmp_path):
    source = server.source(**files)
    source["files"][LIST]["most"] = source["files"][LIST].pop("size") - 1
    with pytest.raises(GauntletError, match=rf"{LIST}: longer than \d+ bytes"):
        fetch.obtain(entry(files, source), tmp_path / "toy")


def values(**changes):
    """VALUES with one more line, or another one."""
    return {**VALUES, **{(name, number): found for name, (number, found) in changes.items()}}.items()


DAMAGE = {
    "a person too few": (
        TRAIN,
        people(PEOPLE["train"][:1], count=2),
        "it has 1 people, and its first line says 2",
    ),
    "no count": (TRAIN, people(PEOPLE["train"], count="two"), "invalid literal"),
    "nothing": (TRAIN, b"\n", "invalid literal"),
    "a photo too many": (TEST, people([("AJ_Cook", 3), ("Zico", 1)]), "its people have 4 photos, not 3"),
    "no photo of a person": (TEST, people([("AJ_Cook", 3), ("Zico", 0)]), "its people have 3 photos"),
    "a number of photos that is none": (TEST, people([("AJ_Cook", "x"), ("Zico", 1)]), "invalid literal"),
    "a person without a number": (TEST, people(PEOPLE["test"]).replace(b"Zico\t1", b"Zico"), "has 1 fields"),
    "a person twice": (
        TEST,
        people([("AJ_Cook", 1), ("AJ_Cook", 1), ("Zico", 1)]),
        r"AJ_Cook_0001\.jpg is listed twice",
    ),
    "a person on both sides": (
        TEST,
        people([("Aaron_Eckhart", 2), ("Zico", 1)]),
        "AJ_Cook_0001.jpg, which no list has",
    ),
    "bytes": (TEST, b"2\nAJ_Cook\t2\n\xff\xfe\t1\n", "not text"),
    "other attributes": (LIST, table(VALUES.items(), ["Male", "Beard", "Smiling"]), "its second line is not"),
    "an attribute too few": (LIST, table(values(Zico=(1, (1, 2)))), "line 8 has 4 fields, not a photo and 3"),
    "a table cut short": (LIST, table(VALUES.items())[:-6], "line 8 has 3 fields"),
    "an attribute that is no number": (
        LIST,
        table(values(Zico=(1, (1, 2, "yes")))),
        "line 8: could not convert",
    ),
    "an attribute that is not finite": (LIST, table(values(Zico=(1, (1, 2, "nan")))), "line 8 .* not finite"),
    "attributes of nobody": (
        LIST,
        table(values(Nobody=(1, (1, 2, 3)))),
        r"Nobody_0001\.jpg, which no list has",
    ),
    "attributes of no photo": (
        LIST,
        table(values(Zico=(2, (1, 2, 3)))),
        r"Zico_0002\.jpg, which no list has",
    ),
    "a photo that has no number": (LIST, table(values(Zico=("first", (1, 2, 3)))), "invalid literal"),
    "attributes twice": (LIST, table([*VALUES.items(), *VALUES.items()]), "line 9 is the second of"),
    "no table": (LIST, b"\n", "not a table of attributes"),
    "an error page": (LIST, b"<html>\n<body>Not found</body>\n", "its second line is not"),
    "a table of bytes": (LIST, b"\xff\xfe\n", "not a table of attributes"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_list(files, server, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    name, content, reason = DAMAGE[damage]
    altered = {**files, name: content}
    with pytest.raises(GauntletError, match=reason):
        obtain(altered, server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


FIRST = member("Aaron_Eckhart", 1)


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda faces: {name: body for name, body in faces.items() if name != FIRST}, f"it has no {FIRST}"),
        (lambda faces: {**faces, FIRST: faces[FIRST][:80]}, r"_0001\.jpg: it does not decode"),
        (lambda faces: {**faces, FIRST: b"<html>"}, r"_0001\.jpg: it does not decode"),
        (lambda faces: {**faces, "zeros": bytes(3_000_000)}, "more bytes than this dataset can have"),
    ],
    ids=["a photo missing", "a photo cut short", "no photo", "a bomb"],
)
def test_a_damaged_archive(files, faces, server, tmp_path, alter, reason):
    altered = {**files, ARCHIVE: tar(*reversed(alter(faces).items()), mode="w:gz")}
    with pytest.raises(GauntletError, match=reason):
        obtain(altered, server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


def test_an_archive_cut_short(files, server, tmp_path):
    with pytest.raises(GauntletError, match=r"archive|unpack"):
        obtain({**files, ARCHIVE: files[ARCHIVE][:-400]}, server, tmp_path)


def test_the_entry_of_the_registry():
    """13,233 photos of 5,749 people, and 73 attributes."""
    real = registry.entry("lfw")
    assert sum(total.images for total in real.splits.values()) == 13_233
    assert real.class_count == 5_749
    assert len(real.attributes) == 73
