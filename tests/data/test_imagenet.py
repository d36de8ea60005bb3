"""Photos of the ILSVRC2012 validation set, from a miniature archive and development kit in their layouts."""

import hashlib
import io

import numpy as np
import pytest
import yaml
from handmade import facts, packed, photo, photo_entry, tar, totals
from scipy.io import savemat

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.readers import ilsvrc2012

IMAGES, KIT = "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"
FOLDER = "ILSVRC2012_devkit_t12"
#: Number, WordNet number and words of the classes, by number, as in the kit; the last has others below it.
SYNSETS = [
    (1, "n02119789", "kit fox, Vulpes macrotis"),
    (2, "n01440764", "tench, Tinca tinca"),
    (3, "n02112137", "chow, chow chow"),
    (1001, "n02083346", "canine, canid"),
]
TRUTH = [2, 1, 3, 1, 2, 2, 3, 1, 2, 2, 1, 2]
TAKEN = {"n02119789": [2, 4], "n01440764": [1, 5, 6, 9, 10, 12]}
COUNTS = totals(train=(5, 2), test=(3, 2))


def name(number):
    return f"ILSVRC2012_val_{number:08}.JPEG"


def meta(synsets=SYNSETS, name="synsets"):
    """An n x 1 array of structs, as in the kit."""
    fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height")
    array = np.zeros((len(synsets), 1), [(field, object) for field in fields])
    for row, (number, wnid, words) in enumerate(synsets):
        children = np.array([1, 3], np.uint16) if number > 1000 else np.zeros(0, np.uint8)
        values = (np.uint16(number), wnid, words, "a gloss", np.uint8(len(children)), children, np.uint8(1))
        array[row, 0] = values
    out = io.BytesIO()
    savemat(out, {name: array}, do_compression=True)
    return out.getvalue()


def kit(**changes):
    """The kit's archive; ``changes`` by the beginning of a file's name, None for a file that is not there."""
    files = {
        "readme.txt": b"read me",
        "data/ILSVRC2012_validation_ground_truth.txt": "".join(f"{number}\n" for number in TRUTH).encode(),
        "data/meta.mat": meta(),
    }
    for path in files:
        for start, content in changes.items():
            if path.startswith(f"data/{start}"):
                files[path] = content
    members = [(f"{FOLDER}/{path}", content) for path, content in files.items() if content is not None]
    return tar(*members, mode="w:gz")


@pytest.fixture(scope="module")
def photos():
    modes = ["L" if number == 5 else "CMYK" if number == 2 else "RGB" for number in range(1, len(TRUTH) + 1)]
    return {name(number): photo(number, (30 + number, 20), mode) for number, mode in enumerate(modes, 1)}


@pytest.fixture
def listing(tmp_path, monkeypatch):
    """A folder of listings with one, and a function that writes another."""
    folder = tmp_path / "listings"
    folder.mkdir()
    monkeypatch.setattr(ilsvrc2012, "LISTINGS", folder)

    def write(content):
        (folder / "toy.yaml").write_text(yaml.safe_dump(content))

    write({"classes": TAKEN})
    return write


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def entry(files, **changes):
    known = {"size": len(files[KIT]), "md5": hashlib.md5(files[KIT]).hexdigest()}  # all that is published
    fields = {
        "reader": "ilsvrc2012",
        "zero_shot": False,
        "terms": "account",
        "counts": COUNTS,
        "listing": "toy.yaml",
        "files": {"images": {"name": IMAGES, **facts(files[IMAGES])}, "devkit": {"name": KIT, **known}},
    }
    return photo_entry(**{**fields, **changes})


def obtain(photos, store, tmp_path, devkit=None, **changes):
    files = {IMAGES: tar(*photos.items(), mode="w"), KIT: devkit or kit()}
    for file, content in files.items():
        (store / file).write_bytes(content)
    return fetch.obtain(entry(files, **changes), tmp_path / "toy")


def test_the_files_of_the_user(photos, listing, store, tmp_path):
    """Classes by WordNet number; of each, every fifth photo for testing, from the first on."""
    target = obtain(photos, store, tmp_path)
    assert packed(target, "train") == [
        (name(number), label, photos[name(number)])
        for number, label in ((5, 0), (6, 0), (9, 0), (10, 0), (4, 1))
    ]
    assert packed(target, "test") == [
        (name(number), label, photos[name(number)]) for number, label in ((1, 0), (12, 0), (2, 1))
    ]


def test_the_prepared_set_is_loaded(photos, listing, store, tmp_path, monkeypatch):
    target = obtain(photos, store, tmp_path)
    files = {path.name: path.read_bytes() for path in store.iterdir()}
    pinned = entry(files, prepared=prepared.hashes(target, entry(files).prepared_files))
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", target)
    assert found.class_names == ("n01440764 tench, Tinca tinca", "n02119789 kit fox, Vulpes macrotis")
    assert (found.train.attributes, found.attribute_names) == (None, ())


def test_torchvision_has_the_same_classes(photos, listing, store, tmp_path, monkeypatch):
    """Its own reader of the development kit says of every prepared photo that it is of the same class."""
    from torchvision.datasets import imagenet

    target = obtain(photos, store, tmp_path)
    monkeypatch.setattr(imagenet, "_verify_archive", lambda root, file, md5: None)
    imagenet.parse_devkit_archive(store)
    _, wnids = imagenet.load_meta_file(store)
    assert sorted(set(wnids)) == ["n01440764", "n02112137", "n02119789"]
    labels = {number: sorted(TAKEN).index(wnid) for number, wnid in enumerate(wnids, 1) if wnid in TAKEN}
    for split in ("train", "test"):
        for path, label, _ in packed(target, split):
            assert label == labels[int(path[15:23])]


def test_without_the_files_it_says_where_to_register(photos, listing, tmp_path):
    files = {IMAGES: b"x", KIT: b"y"}
    with pytest.raises(GauntletError) as caught:
        fetch.obtain(entry(files), tmp_path / "toy")
    said = caught.value.remedy
    assert said.startswith("register with the publisher (handmade), download these files, put them into")
    assert f"{IMAGES} (1 bytes, sha256 {facts(b'x')['sha256']})" in said
    assert f"{KIT} (1 bytes, md5 4" in said


def truth(*changes):
    numbers = list(TRUTH)
    for at, value in changes:
        numbers[at - 1] = value
    return {"ILSVRC2012": "".join(f"{number}\n" for number in numbers).encode()}


DAMAGE = {
    "no ground truth": ({"ILSVRC2012": None}, "it has no .*ground_truth"),
    "no meta.mat": ({"meta": None}, r"it has no .*meta\.mat"),
    "another class of a photo": (truth((9, 3)), "photo 9 is not of the class n01440764, as toy.yaml says"),
    "a ground truth cut short": ({"ILSVRC2012": b"2\n1\n3\n1\n"}, "photo 5 is not of the class"),
    "a class that is no number": (truth((3, "chow")), "invalid literal"),
    "no structs": ({"meta": meta(name="others")}, "no struct array of this name"),
    "a class missing": ({"meta": meta(SYNSETS[1:])}, "it has no class n02119789"),
    "no MATLAB file": ({"meta": b"<html>"}, "not a MATLAB file"),
    "bytes": ({"ILSVRC2012": b"\xff\xfe\n"}, "not text"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_kit(photos, listing, store, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    changes, reason = DAMAGE[damage]
    with pytest.raises(GauntletError, match=reason):
        obtain(photos, store, tmp_path, kit(**changes))
    assert not (tmp_path / "toy").exists()
    assert not list(tmp_path.glob(".toy.*/*"))


def test_a_kit_cut_short(photos, listing, store, tmp_path):
    with pytest.raises(GauntletError, match=r"archive|unpack"):
        obtain(photos, store, tmp_path, kit()[:-200])


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (
            lambda photos: {path: body for path, body in photos.items() if path != name(6)},
            "it has no .*0006.JPEG",
        ),
        (lambda photos: {**photos, name(6): photos[name(6)][:80]}, r"0006\.JPEG: it does not decode"),
        (lambda photos: {f"val/{name(6)}": b"x", **photos}, "appears twice"),
    ],
    ids=["missing", "cut short", "twice"],
)
def test_a_damaged_photo(photos, listing, store, tmp_path, alter, reason):
    with pytest.raises(GauntletError, match=reason):
        obtain(alter(photos), store, tmp_path)
    assert not (tmp_path / "toy").exists()


def test_photos_that_are_not_listed_are_left_alone(photos, listing, store, tmp_path):
    """Whatever they are, and where they are."""
    obtain({**photos, name(3): b"", name(7): b"x"}, store, tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"classes": {**TAKEN, "n02112137": [3, 7]}}, "6 train images are listed, not 5"),
        ({"classes": {**TAKEN, "n02119789": [2, 2]}}, r"ILSVRC2012_val_00000002\.JPEG is listed twice"),
        ({"classes": {**TAKEN, "n02119789": [2, 400]}}, "photo 400 is not of the class"),
        ({"classes": {**TAKEN, "n00000001": [3]}}, "it has no class n00000001"),
        ({"classes": {**TAKEN, "n02119789": [0]}}, r"classes\.n02119789\.0"),
        ({"classes": {"kit fox": [2]}}, r"toy\.yaml: classes\.kit fox"),
        ({"classes": {}}, r"toy\.yaml: classes"),
        ({"photos": [1]}, r"toy\.yaml"),
    ],
)
def test_a_wrong_listing(photos, listing, store, tmp_path, content, reason):
    listing(content)
    with pytest.raises(GauntletError, match=reason):
        obtain(photos, store, tmp_path)


def test_an_entry_without_a_listing(photos, listing, store, tmp_path):
    with pytest.raises(GauntletError, match=r"toy\.listing: the entry names no listing"):
        obtain(photos, store, tmp_path, listing=None)


def test_the_entry_of_the_registry():
    """Five photos of each of 1,000 classes: four of them for training."""
    real = registry.entry("imagenet-val")
    taken = ilsvrc2012.listing(real)
    assert list(taken) == sorted(taken)
    assert {len(numbers) for numbers in taken.values()} == {5}
    assert all(numbers == sorted(numbers) for numbers in taken.values())
    every = {number for numbers in taken.values() for number in numbers}
    assert len(every) == 5 * len(taken) == 5_000
    assert max(every) <= 50_000
    assert (real.examples("train"), real.examples("test"), real.class_count) == (4_000, 1_000, 1_000)
