"""CelebA from miniature files in its formats: people, parts and attributes, and every damage."""

import numpy as np
import pytest
from handmade import facts, packed, photo, photo_entry, totals, zipped

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry

ATTRIBUTES = ["5_o_Clock_Shadow", "Male", "Smiling"]
#: File, part, person, attributes. Numbers of people and parts are in no order.
ROWS = [
    ("000001.jpg", 0, 2880, (-1, -1, 1)),
    ("000002.jpg", 0, 17, (-1, 1, 1)),
    ("000003.jpg", 1, 9, (1, 1, -1)),
    ("000004.jpg", 0, 2880, (-1, -1, -1)),
    ("000005.jpg", 2, 10101, (1, 1, 1)),
    ("000006.jpg", 1, 8, (-1, -1, 1)),
    ("000007.jpg", 2, 10101, (-1, 1, -1)),
]
LABEL = {8: 0, 9: 1, 17: 2, 2880: 3, 10101: 4}
SPLITS = {"train": 0, "validation": 1, "test": 2}
COUNTS = totals(train=(3, 2), test=(2, 1), validation=(2, 2))
IMAGES, LIST, PEOPLE, PARTS = (
    "img_align_celeba.zip",
    "list_attr_celeba.txt",
    "identity_CelebA.txt",
    "list_eval_partition.txt",
)


def text(*lines):
    """Lines end as the publisher's do."""
    return "".join(f"{line}\r\n" for line in lines).encode()


def attribute_list(rows=ROWS, count=None, names=ATTRIBUTES):
    lines = [f"{name} " + " ".join(f"{value:2}" for value in values) for name, _, _, values in rows]
    return text(len(rows) if count is None else count, " ".join(names) + " ", *lines)


@pytest.fixture(scope="module")
def faces():
    return {f"img_align_celeba/{name}": photo(index, (18, 22)) for index, (name, *_) in enumerate(ROWS)}


@pytest.fixture(scope="module")
def files(faces):
    return {
        IMAGES: zipped(*reversed(faces.items())),
        LIST: attribute_list(),
        PEOPLE: text(*(f"{name} {person}" for name, _, person, _ in ROWS)),
        PARTS: text(*(f"{name} {part}" for name, part, *_ in ROWS)),
    }


def entry(files, *sources, **changes):
    roles = {"images": IMAGES, "attributes": LIST, "partition": PARTS, "people": PEOPLE}
    fields = {
        "reader": "celeba",
        "counts": COUNTS,
        "attributes": ATTRIBUTES,
        "files": {role: {"name": name, **facts(files[name])} for role, name in roles.items()},
    }
    return photo_entry(*sources, **{**fields, **changes})


def fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return tmp_path / "store"


def assert_prepared(target, toy, faces):
    for split, part in SPLITS.items():
        of_split = [row for row in ROWS if row[1] == part]
        expected = [
            (f"img_align_celeba/{name}", LABEL[person], faces[f"img_align_celeba/{name}"])
            for name, _, person, _ in of_split
        ]
        assert packed(target, split) == expected
        bits = np.load(target / f"{split}_attributes.npy")
        assert bits.dtype == np.uint8
        assert bits.tolist() == [[int(value == 1) for value in row[3]] for row in of_split]
    assert {path.name for path in target.iterdir()} == set(toy.prepared_files)
    assert len(toy.prepared_files) == 16


@pytest.mark.parametrize("layout", ["toy", "celeba/Anno"])
def test_the_files_of_the_user(files, faces, store, tmp_path, layout):
    fill(store / layout, files)
    toy = entry(files)
    assert_prepared(fetch.obtain(toy, tmp_path / "toy"), toy, faces)


def test_files_over_http(files, faces, server, tmp_path):
    """Should somebody serve them: the format does not depend on the way here."""
    toy = entry(files, server.source(**files))
    assert_prepared(fetch.obtain(toy, tmp_path / "toy"), toy, faces)


def test_the_prepared_set_is_loaded(files, store, tmp_path, monkeypatch):
    fill(store, files)
    toy = entry(files)
    target = fetch.obtain(toy, tmp_path / "toy")
    pinned = entry(files, prepared=prepared.hashes(target, toy.prepared_files))
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", target)
    assert found.class_names == ("8", "9", "17", "2880", "10101")
    assert found.attribute_names == tuple(ATTRIBUTES)
    assert (len(found.train), len(found.validation), len(found.test), found.gallery) == (3, 2, 2, None)
    smiling = found.attribute_names.index("Smiling")
    assert found.train.attributes[:, smiling].tolist() == [1, 1, 0]
    assert found.validation.labels.tolist() == [1, 0]
    (target / "train_attributes.npy").write_bytes(b"damaged")
    with pytest.raises(GauntletError, match=r"train_attributes\.npy: this file is damaged"):
        data.load("toy", target)


def test_torchvision_reads_the_same(files, store, tmp_path, monkeypatch):
    """Its reader of the same files, with the two lists that this one leaves alone."""
    from torchvision.datasets import CelebA

    others = {
        "list_bbox_celeba.txt": text(len(ROWS), "image_id x_1", *(f"{name} 1" for name, *_ in ROWS)),
        "list_landmarks_align_celeba.txt": text(len(ROWS), "lefteye_x", *(f"{name} 1" for name, *_ in ROWS)),
    }
    fill(store / "celeba", files | {name: body.replace(b"\r", b"") for name, body in others.items()})
    target = fetch.obtain(entry(files), tmp_path / "toy")
    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)
    for split, theirs in (("train", "train"), ("validation", "valid"), ("test", "test")):
        reference = CelebA(store, theirs, target_type=["attr", "identity"])
        ours = packed(target, split)
        assert [name for name, *_ in ours] == [f"img_align_celeba/{name}" for name in reference.filename]
        assert [label for _, label, _ in ours] == [LABEL[n] for n in reference.identity.flatten().tolist()]
        assert np.load(target / f"{split}_attributes.npy").tolist() == reference.attr.tolist()
        assert [name for name in reference.attr_names if name.strip()] == ATTRIBUTES


def test_without_the_files_it_says_what_to_put_where(files, tmp_path):
    with pytest.raises(GauntletError) as caught:
        fetch.obtain(entry(files), tmp_path / "toy")
    said = caught.value.remedy
    assert said.startswith("get these files from the publisher (handmade), put them into FOLDER/toy/")
    for name, content in files.items():
        known = facts(content)
        assert f"{name} ({known['size']} bytes, sha256 {known['sha256']})" in said


def swap(row, at, value):
    """ROWS with another value in one place."""
    changed = list(ROWS[row])
    changed[at] = value
    return [*ROWS[:row], tuple(changed), *ROWS[row + 1 :]]


def parts(rows):
    return text(*(f"{name} {part}" for name, part, *_ in rows))


def people(rows):
    return text(*(f"{name} {person}" for name, _, person, _ in rows))


DAMAGE = {
    "an attribute line too few": (LIST, attribute_list(ROWS[:-1]), "its 6 files are not the 7 of"),
    "another count": (
        LIST,
        attribute_list(count=9),
        "it has 7 lines of attributes, and its first line says 9",
    ),
    "no count": (LIST, attribute_list(count="many"), "invalid literal"),
    "an attribute too few": (LIST, attribute_list(swap(3, 3, (1, 1))), "line 4 has 3 fields, not 4"),
    "an attribute too many": (LIST, attribute_list(swap(3, 3, (1, 1, 1, 1))), "neither 1 nor -1"),
    "an attribute of 0": (LIST, attribute_list(swap(3, 3, (1, 0, 1))), "neither 1 nor -1"),
    "other attributes": (LIST, attribute_list(names=["Male", "Smiling", "Young"]), "its second line is not"),
    "no lines at all": (LIST, b"\n", "its second line is not"),
    "bytes": (LIST, attribute_list()[:-10] + b"\xff\xfe\r\n", "not text"),
    "attributes of a file twice": (
        LIST,
        attribute_list([*ROWS[:-1], ROWS[0]]),
        "1 of its 7 lines are of a file that has another",
    ),
    "attributes of another file": (
        LIST,
        attribute_list(swap(3, 0, "000009.jpg")),
        "its 7 files are not the 7",
    ),
    "a person missing": (PEOPLE, people(ROWS[1:]), r"identity_CelebA\.txt: its 6 files are not the 7"),
    "a person without a number": (PEOPLE, people(swap(1, 2, "Anna")), "invalid literal"),
    "a person in two parts": (PEOPLE, people(swap(2, 2, 17)), "'17' is in train and in validation"),
    "a person more": (PEOPLE, people(swap(3, 2, 18)), "3 train classes are listed, not 2"),
    "an unknown part": (PARTS, parts(swap(2, 1, 3)), "the part '3' is unknown"),
    "a file without a part": (PARTS, parts(ROWS) + b"000008.jpg\r\n", "line 8 has 1 fields"),
    "a file in two parts": (PARTS, parts([*ROWS, ROWS[2]]), "1 of its 8 lines are of a file"),
    "a photo in another part": (PARTS, parts(swap(2, 1, 0)), "4 train images are listed, not 3"),
    "In-Shop's file of this name": (
        PARTS,
        b"1\nimage_name item_id evaluation_status\nimg/1 2 train\n",
        "fields",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_list(files, store, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    name, content, reason = DAMAGE[damage]
    altered = {**files, name: content}
    fill(store, altered)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(altered), tmp_path / "toy")
    assert {path.name for path in tmp_path.iterdir()} == {"store", ".toy.lock"}


FIRST = "img_align_celeba/000001.jpg"


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda faces: {name: body for name, body in faces.items() if name != FIRST}, f"it has no {FIRST}"),
        (lambda faces: {**faces, FIRST: faces[FIRST][:80]}, r"000001\.jpg: it does not decode"),
        (lambda faces: {**faces, "../evil.jpg": b"x"}, "its name leads out"),
    ],
    ids=["a photo missing", "a photo cut short", "a path that leads out"],
)
def test_a_damaged_archive(files, faces, store, tmp_path, alter, reason):
    altered = {**files, IMAGES: zipped(*reversed(alter(faces).items()))}
    fill(store, altered)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(altered), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_an_archive_cut_short(files, store, tmp_path):
    """A zip archive's index is at its end."""
    altered = {**files, IMAGES: files[IMAGES][:-30]}
    fill(store, altered)
    with pytest.raises(GauntletError, match="damaged archive"):
        fetch.obtain(entry(altered), tmp_path / "toy")
    fill(store, files | {IMAGES: files[IMAGES][:-30]})
    with pytest.raises(GauntletError, match=r"img_align_celeba\.zip: truncated"):
        fetch.obtain(entry(files), tmp_path / "toy")


def test_sets_without_attributes_are_prepared_as_before(files, store, tmp_path):
    """Nothing of attributes is in their files: the bytes that were pinned stay."""
    from gauntlet.data.packed import Album, write
    from gauntlet.data.readers.celeba import read

    fill(store, files)
    album = read({role: store / file.name for role, file in entry(files).files.items()}, entry(files))
    plain = entry(files, attributes=None)
    write(Album(album.classes, album.splits), plain, tmp_path / "plain")
    assert not list((tmp_path / "plain").glob("*attributes*"))
    assert "attributes" not in (tmp_path / "plain" / "dataset.json").read_text()
    with pytest.raises(GauntletError, match=r"attributes are given for the splits \[\], not"):
        write(Album(album.classes, album.splits), entry(files), tmp_path / "other")
    with pytest.raises(GauntletError, match=r"attributes are given for the splits \['train'"):
        write(album, plain, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_entry_of_the_registry():
    real = registry.entry("celeba")
    assert len(real.attributes) == 40
    assert sum(total.images for total in real.splits.values()) == 202_599
    assert real.class_count == 10_177
