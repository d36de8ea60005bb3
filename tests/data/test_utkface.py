"""UTKFace from a miniature archive: everything is in the names, and some of them lack a part."""

import numpy as np
import pytest
from handmade import packed, photo, photo_entry, tar, totals

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.readers.utkface import RACES

WHEN = "20170116174525125.jpg.chip.jpg"
#: Age, gender and race in the order of the names, where "0" is before "_". Six are of the first race, so that
#: a second one of it is for testing.
FACES = [
    (100, 1, 4),
    (10, 1, 0),
    (1, 0, 0),
    (26, 0, 0),
    (39, 1, 2),
    (3, 0, 0),
    (4, 1, 0),
    (5, 0, 0),
    (61, 0, 3),
]
FACES += [(7, 1, 1)]
TESTED = [(100, 1, 4), (10, 1, 0), (39, 1, 2), (5, 0, 0), (61, 0, 3), (7, 1, 1)]
MALFORMED = [f"39_1_{WHEN}", f"61_1_3_{WHEN.replace('.jpg', '', 1)}", f"61_2_0_{WHEN}", f"1_0_5_{WHEN}"]
FIELDS = {
    "reader": "utkface",
    "zero_shot": False,
    "counts": totals(train=(4, 1), test=(6, 5)),
    "attributes": ["Female"],
    "values": ["age"],
    "files": {"archive": {"name": "UTKFace.tar.gz", "unverified": True}},
}


def name(age, gender, race):
    return f"UTKFace/{age}_{gender}_{race}_{WHEN}"


@pytest.fixture(scope="module")
def members():
    """In no order, with what a Mac adds to archives."""
    found = {name(*face): photo(number) for number, face in reversed(list(enumerate(FACES)))}
    others = {f"UTKFace/{bad}": photo(50) for bad in MALFORMED}
    return {**others, **found, f"UTKFace/._{WHEN}": b"not read"}


def obtain(members, tmp_path, monkeypatch, **changes):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "UTKFace.tar.gz").write_bytes(tar(*members.items(), mode="w:gz"))
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return fetch.obtain(photo_entry(**{**FIELDS, **changes}), tmp_path / "toy")


def test_the_published_archive(members, tmp_path, monkeypatch):
    target = obtain(members, tmp_path, monkeypatch)
    parts = {"train": [face for face in FACES if face not in TESTED], "test": TESTED}
    for split, faces in parts.items():
        assert packed(target, split) == [(name(*face), face[2], members[name(*face)]) for face in faces]
    entry = photo_entry(**FIELDS)
    pinned = photo_entry(**FIELDS, prepared=prepared.hashes(target, entry.prepared_files))
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", target)
    assert found.class_names == tuple(RACES)
    assert (found.attribute_names, found.value_names) == (("Female",), ("age",))
    for split, faces in parts.items():
        photos = getattr(found, split)
        assert photos.attributes.tolist() == [[gender] for _, gender, _ in faces]
        assert photos.values.tolist() == [[age] for age, _, _ in faces]
        assert photos.values.dtype == np.float32


def test_malformed_names_are_said(members, tmp_path, monkeypatch, capsys):
    obtain(members, tmp_path, monkeypatch)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert line == f"toy: left out, for their names are malformed: {', '.join(sorted(MALFORMED))}"


def test_a_face_too_few(members, tmp_path, monkeypatch):
    kept = {path: body for path, body in members.items() if path != name(26, 0, 0)}
    with pytest.raises(GauntletError, match="5 test images are listed, not 6"):
        obtain(kept, tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


def test_the_counts_of_the_registry():
    """Of 23,708 files three lack a race; the classes have as many photos as others have counted."""
    classes = [10_078, 4_526, 3_434, 3_975, 1_692]
    assert sum(classes) == 23_708 - 3
    real = registry.entry("utkface")
    assert real.examples("test") == sum(-(-count // 5) for count in classes)
    assert real.examples("train") + real.examples("test") == sum(classes)
