"""Omniglot from miniature archives: ink, size, drawers, alphabets in both archives, and every damage."""

import io
import zipfile

import numpy as np
import pytest
from handmade import facts, ten_classes
from PIL import Image

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry
from gauntlet.data.readers.omniglot import read

SMALL1, SMALL2 = "images_background_small1.zip", "images_background_small2.zip"
#: Alphabet -> number of its first character in all of Omniglot, and its characters here.
ALPHABETS = {"Balinese": (108, 3), "Greek": (394, 2), "Japanese_(katakana)": (596, 2)}
ARCHIVES = {SMALL1: ["Balinese", "Greek"], SMALL2: ["Greek", "Japanese_(katakana)"]}
CLASSES = ["Balinese/character01..03", "Greek/character01..02", "Japanese_(katakana)/character01..02"]
DRAWERS = 4


@pytest.fixture(scope="module")
def ink():
    """Class -> bool (drawers, 105, 105), True where there is ink."""
    random = np.random.default_rng(0)
    out = {}
    for alphabet, (_, characters) in ALPHABETS.items():
        for character in range(1, characters + 1):
            strokes = random.random((DRAWERS, 105, 105)) < 0.2
            strokes[0, :15, :30] = np.arange(30) < 22
            out[f"{alphabet}/character{character:02}"] = strokes
    return out


def png(ink):
    """As the publisher's: one bit per pixel, ink is 0."""
    out = io.BytesIO()
    Image.fromarray(~ink).save(out, "PNG")
    return out.getvalue()


def members(ink, name):
    """The files of one archive, as the publisher names them; the last drawer comes first."""
    files = {}
    for alphabet in ARCHIVES[name]:
        first, characters = ALPHABETS[alphabet]
        for character in range(characters):
            folder = f"{alphabet}/character{character + 1:02}"
            for drawer in reversed(range(DRAWERS)):
                path = f"{name[:-4]}/{folder}/{first + character:04}_{drawer + 1:02}.png"
                files[path] = png(ink[folder][drawer])
    return files


def packed(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        folders = {path[: at + 1] for path in files for at, letter in enumerate(path) if letter == "/"}
        for name in sorted(folders):
            archive.writestr(name, b"")
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.fixture(scope="module")
def contents(ink):
    return {name: packed(members(ink, name)) for name in ARCHIVES}


def entry(contents, *sources, **changes):
    files = {name[-10:-4]: {"name": name, **facts(content)} for name, content in contents.items()}
    fields = {"classes": CLASSES, "shape": [1, 28, 28], "counts": {"train": 3, "test": 1}}
    return ten_classes(*sources, **{"reader": "omniglot", "files": files, **fields, **changes})


def published(server, contents):
    for name, content in contents.items():
        server.content[f"/python/{name}"] = content
    listed = {name: facts(content) for name, content in contents.items()}
    return {"kind": "url", "bases": [f"{server.base}/python/"], "files": listed}


def small(ink):
    """uint8 (..., 28, 28): of every pixel 4 x 4 are made, and of 15 x 15 of those one, their mean."""
    fine = ink.repeat(4, axis=-1).repeat(4, axis=-2)
    mean = fine.reshape(*ink.shape[:-2], 28, 15, 28, 15).mean((-3, -1))
    return np.floor(mean * 255 + 0.5).astype(np.uint8)


def test_the_published_archives(ink, contents, server, tmp_path):
    target = fetch.obtain(entry(contents, published(server, contents)), tmp_path / "toy")
    train, test = (np.load(target / f"{split}_images.npy") for split in ("train", "test"))
    for label, strokes in enumerate(ink.values()):
        assert np.array_equal(train[3 * label : 3 * label + 3, 0], small(strokes[:3]))
        assert np.array_equal(test[label, 0], small(strokes[3]))
    assert np.load(target / "train_labels.npy").tolist() == np.repeat(range(7), 3).tolist()
    assert np.load(target / "test_labels.npy").tolist() == list(range(7))


def test_ink_is_white_and_a_pixel_is_shared_by_its_area(contents, tmp_path):
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    made = entry(contents)
    images = read({role: tmp_path / file.name for role, file in made.files.items()}, made)["train_images"]
    # 22 columns of ink: 5 of 3.75, and 3.25 / 3.75 of the next
    assert images[0, 0, 1, :8].tolist() == [255] * 5 + [221, 0, 0]


def test_the_archives_in_the_users_folder(contents, tmp_path, monkeypatch):
    (tmp_path / "store" / "omniglot" / "python").mkdir(parents=True)
    for name, content in contents.items():
        (tmp_path / "store" / "omniglot" / "python" / name).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    target = fetch.obtain(entry(contents), tmp_path / "toy")
    assert len(np.load(target / "test_images.npy")) == 7


def test_an_alphabet_in_both_archives_is_taken_once(ink, contents, server, tmp_path):
    """From the first: the second has other drawings here."""
    others = {name: ~strokes if "Greek" in name else strokes for name, strokes in ink.items()}
    altered = {**contents, SMALL2: packed(members(others, SMALL2))}
    target = fetch.obtain(entry(altered, published(server, altered)), tmp_path / "toy")
    assert np.array_equal(np.load(target / "test_images.npy")[3, 0], small(ink["Greek/character01"][3]))


def test_classes_of_one_split(ink, contents, server, tmp_path):
    """Of a zero-shot set, every drawing of a class is in its split."""
    counts = {"train": DRAWERS, "test": DRAWERS}
    made = entry(contents, published(server, contents), counts=counts, train_classes=3)
    target = fetch.obtain(made, tmp_path / "toy")
    assert np.load(target / "train_labels.npy").tolist() == np.repeat(range(3), 4).tolist()
    assert np.load(target / "test_labels.npy").tolist() == np.repeat(range(3, 7), 4).tolist()
    assert np.array_equal(
        np.load(target / "test_images.npy")[:, 0],
        np.concatenate([small(strokes) for strokes in ink.values()])[12:],
    )


DRAWING = "images_background_small1/Balinese/character02/0109_03.png"
OTHER = png(np.zeros((105, 105), bool))
DAMAGED = {
    "an empty drawing": b"",
    "half a drawing": OTHER[: len(OTHER) // 2],
    "no drawing": b"<html>Sorry</html>",
    "a drawing of another size": png(np.zeros((105, 104), bool)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_drawing(ink, server, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    contents = {name: members(ink, name) for name in ARCHIVES}
    contents[SMALL1][DRAWING] = DAMAGED[damage]
    contents = {name: packed(files) for name, files in contents.items()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    made = entry(contents)
    with pytest.raises(GauntletError, match="not a PNG of 105 x 105") as caught:
        read({role: tmp_path / file.name for role, file in made.files.items()}, made)
    assert caught.value.file == tmp_path / SMALL1
    assert caught.value.key == DRAWING
    with pytest.raises(GauntletError, match="not a PNG of 105 x 105"):
        fetch.obtain(entry(contents, published(server, contents)), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_no_cut_through_a_drawing_escapes(ink, tmp_path):
    whole = png(ink["Greek/character01"][0])
    made = entry({SMALL1: b"x"}, classes=["A/b", "A/c"], counts={"train": 1, "test": 1})
    for length in range(0, len(whole) - 12, 41):  # the last 12 bytes only say that it ends
        files = {f"s/A/{c}/1_{drawer}.png": whole[:length] for c in "bc" for drawer in (1, 2)}
        (tmp_path / SMALL1).write_bytes(packed(files))
        with pytest.raises(GauntletError, match="not a PNG"):
            read({"small1": tmp_path / SMALL1}, made)


def drop(part):
    return lambda files: {path: content for path, content in files.items() if part not in path}


ARCHIVE_DAMAGE = {
    "a drawing too few": (drop("0109_03"), "3 drawings of Balinese/character02, not 4"),
    "a drawing too many": (
        lambda files: {**files, DRAWING.replace("_03", "_05"): OTHER},
        "5 drawings of Balinese/character02, not 4",
    ),
    "no such character": (drop("Balinese/character03"), "0 drawings of Balinese/character03, not 4"),
    "a way out": (lambda files: {**files, "../../evil.png": OTHER}, "leads out of the folder"),
    "an absolute path": (lambda files: {**files, "/evil.png": OTHER}, "not a relative path"),
    "a bomb": (lambda files: {**files, "s/bomb.png": bytes(10**7)}, "more bytes than declared"),
}


@pytest.mark.parametrize("damage", ARCHIVE_DAMAGE)
def test_a_damaged_archive(ink, contents, server, tmp_path, damage):
    alter, reason = ARCHIVE_DAMAGE[damage]
    contents = {**contents, SMALL1: packed(alter(members(ink, SMALL1)))}
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(contents, published(server, contents)), tmp_path / "toy")
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".png"] == []


def test_an_archive_cut_short(contents, tmp_path):
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    made = entry(contents)
    with pytest.raises(GauntletError, match="damaged archive"):
        read({role: tmp_path / file.name for role, file in made.files.items()}, made)


def test_classes_by_number():
    made = entry({SMALL1: b"x"}, classes=["A/08..11", "B..", "C..3", "7..9"], counts={"train": 1, "test": 1})
    assert made.classes == ["A/08", "A/09", "A/10", "A/11", "B..", "C..3", "7", "8", "9"]
    with pytest.raises(GauntletError, match=r"'A/09\.\.08' ends before it starts"):
        entry({SMALL1: b"x"}, classes=["A/09..08", "B", "C"])
    with pytest.raises(GauntletError, match="valid list"):
        entry({SMALL1: b"x"}, classes="A/01..08")


def test_a_zero_shot_set_has_classes_for_testing():
    with pytest.raises(GauntletError, match="train_classes leaves no class for testing"):
        entry({SMALL1: b"x"}, train_classes=7)


def test_the_registered_sets():
    """As published: 964 and 659 characters, 20 drawings of each."""
    made, few = registry.entry("omniglot"), registry.entry("omniglot-small")
    train, test = made.per_class("train"), made.per_class("test")
    assert (sum(train), sum(test)) == (19280, 13180)
    assert [count > 0 for count in train] == [count == 0 for count in test]
    alphabets = list(dict.fromkeys(name.split("/")[0] for name in made.classes))
    assert len(alphabets) == 50
    assert alphabets.index("Angelic") == 30
    assert len(set(made.classes)) == 1623
    assert len(few.classes) == 242
    assert set(few.classes) < set(made.classes[:964])
    assert few.classes == sorted(few.classes)
