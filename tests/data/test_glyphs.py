"""Characters drawn from the fonts of matplotlib: the same bytes everywhere, and no character twice."""

import hashlib
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from handmade import facts, ten_classes

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry
from gauntlet.data.readers import glyphs
from gauntlet.data.readers.outlines import Font, Outline, fill

FONTS = Path(importlib.util.find_spec("matplotlib").submodule_search_locations[0], "mpl-data/fonts/ttf")
SANS, SERIF, STIX = "DejaVuSans.ttf", "DejaVuSerif-BoldItalic.ttf", "STIXGeneral.ttf"
PINNED = {  # SHA-256 of 4 images and of 3 of each class
    "train": "58458fd71649239ebfcc7b8bcfbebed69d52070681f7a50eb3ac6fa89a480a0c",
    "test": "c7a5327ad17705540d0088f4d172d3788e00137e106e97847572b6ddd667f913",
}
CLASSES = ["3", "B", "g", "Ω", "Ж", "ფ"]  # STIX has no Georgian


def entry(*sources, classes=CLASSES, counts=(4, 3), fonts=None, content=None):
    """An entry whose roles and fonts are ``fonts``."""
    fonts = fonts or {"sans": SANS, "serif": SERIF}
    files = {
        role: {"name": name, **facts((FONTS / name).read_bytes() if content is None else content)}
        for role, name in fonts.items()
    }
    return ten_classes(
        *sources,
        reader="glyphs",
        classes=list(classes),
        shape=[1, 28, 28],
        counts=dict(zip(("train", "test"), counts, strict=True)),
        files=files,
    )


def draw(**given):
    made = entry(**given)
    return glyphs.read({role: FONTS / file.name for role, file in made.files.items()}, made)


def per_class(arrays, split):
    images = arrays[f"{split}_images"]
    return images.reshape(arrays[f"{split}_labels"].max() + 1, -1, 28, 28)


@pytest.fixture(scope="module")
def arrays():
    return draw()


def test_what_is_drawn(arrays):
    assert arrays["train_labels"].tolist() == np.repeat(range(6), 4).tolist()
    assert arrays["test_labels"].tolist() == np.repeat(range(6), 3).tolist()
    for split in ("train", "test"):
        images = arrays[f"{split}_images"]
        assert images.dtype == np.uint8
        assert images.shape == (len(arrays[f"{split}_labels"]), 1, 28, 28)
        inked = (images > 0).mean((1, 2, 3))
        assert inked.min() > 0.05
        assert inked.max() < 0.5  # white on black, not the other way round
        assert images.max((1, 2, 3)).min() > 250
        rows, columns = np.indices((28, 28))
        mass = images[:, 0] / images.sum((1, 2, 3), dtype=float)[:, None, None]
        for axis in (rows, columns):
            assert np.abs((mass * axis).sum((1, 2)) - 13.5).max() < 4.5
    both = np.concatenate([arrays["train_images"], arrays["test_images"]])
    assert len(np.unique(both, axis=0)) == len(both)  # no jitter twice


def test_the_bytes_are_the_same_everywhere(arrays):
    """Not only twice here: these were written down."""
    again = draw()
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
    for split, digest in PINNED.items():
        assert hashlib.sha256(arrays[f"{split}_images"].tobytes()).hexdigest() == digest


def test_a_class_does_not_depend_on_the_others(arrays):
    more = draw(classes=["3", "A", *CLASSES[1:], "ღ"])
    for split in ("train", "test"):
        rows = [0, 2, 3, 4, 5, 6]
        assert np.array_equal(per_class(more, split)[rows], per_class(arrays, split))


def test_more_images_only_add_to_the_others(arrays):
    assert np.array_equal(per_class(draw(counts=(9, 3)), "train")[:, :4], per_class(arrays, "train"))


def test_the_fonts_take_turns(arrays):
    sans, serif = (per_class(draw(fonts={"only": name}), "train") for name in (SANS, SERIF))
    drawn = per_class(arrays, "train")
    assert np.array_equal(drawn[:, ::2], sans[:, ::2])
    assert np.array_equal(drawn[:, 1::2], serif[:, 1::2])


def test_fonts_of_one_split():
    fonts = {"train_a": SANS, "test_a": SERIF, "test_b": STIX}
    found = draw(fonts=fonts)
    assert np.array_equal(found["train_images"], draw(fonts={"only": SANS})["train_images"])
    assert np.array_equal(found["test_images"], draw(fonts={"a": SERIF, "b": STIX})["test_images"])


def test_a_font_without_the_character_is_left_out(arrays):
    drawn = per_class(draw(fonts={"sans": SANS, "stix": STIX}), "train")
    only = per_class(draw(fonts={"sans": SANS}), "train")
    assert np.array_equal(drawn[5], only[5])
    assert not np.array_equal(drawn[4], only[4])
    with pytest.raises(GauntletError, match=r"no font for test has the class ფ \(U\+10E4\)"):
        draw(fonts={"train_sans": SANS, "test_stix": STIX})


@pytest.mark.parametrize("character", ["\uffff", "\u4e00", " ", "\u200b"])
@pytest.mark.parametrize("name", [SANS, STIX])
def test_tofu_and_blanks_are_missing(name, character):
    """U+FFFF is no character, U+4E00 is Chinese, and the last two are spaces."""
    assert Font(FONTS / name).outline(character) is None


def test_what_the_missing_character_looks_like_is_missing_under_its_own_name(tmp_path):
    """A font may give the box to a character of its own."""
    from fontTools.ttLib import TTFont

    font = TTFont(FONTS / SANS)
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[ord("A")] = ".notdef"
    font.save(tmp_path / SANS)
    assert Font(tmp_path / SANS).outline("A") is None
    assert Font(tmp_path / SANS).outline("B") is not None


def test_look_alikes_are_refused():
    alike = ["A", "B", "Α", "А", "З", "3", "Я"]  # noqa: RUF001 (Greek and Cyrillic capitals)
    fonts = [glyphs.outlines(FONTS / name, alike) for name in (SANS, STIX)]
    assert glyphs.look_alikes(fonts, alike, 28) == {alike[2]: "A", alike[3]: "A", "3": alike[4]}
    with pytest.raises(GauntletError, match=r"\(U\+0391\) looks like A \(U\+0041\)") as caught:
        draw(classes=alike)
    assert "leave it out" in str(caught.value)


def test_look_alikes_of_two_fonts():
    """It is enough that what one font has for a character is what another has for another one."""
    (drawn,) = glyphs.outlines(FONTS / SANS, ["O"]).values()
    assert glyphs.look_alikes([{"0": drawn}, {"O": drawn}], ["0", "O"], 28) == {"O": "0"}
    assert glyphs.look_alikes([{"0": drawn}, {}], ["0", "O"], 28) == {}


def test_a_class_is_one_character():
    with pytest.raises(GauntletError, match="the class 'AB' is not one character"):
        draw(classes=["A", "AB"])


def test_nearest_class_mean_is_far_above_chance():
    """Of unseen fonts, with 40 classes."""
    classes = registry.entry("glyphs").classes[::6][:40]
    fonts = {"train_a": SANS, "train_b": "DejaVuSansMono-Bold.ttf", "test_a": "DejaVuSerif.ttf"}
    found = draw(classes=classes, fonts=fonts, counts=(6, 4))
    means = found["train_images"].reshape(40, 6, -1).mean(1)
    distances = ((found["test_images"].reshape(160, 1, -1) - means) ** 2).sum(2)
    assert (distances.argmin(1) == found["test_labels"]).mean() > 0.4


def polygon(*contours):
    ends = np.cumsum([len(contour) for contour in contours])
    following = [np.roll(np.arange(end - len(c), end), -1) for end, c in zip(ends, contours, strict=True)]
    return Outline(np.concatenate(contours).astype(float), np.concatenate(following))


def square(side, centre=(0, 0), turn=1):
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * side / 2 + centre
    return corners[::turn]


def test_shares_of_pixels():
    def pixels(*contours):
        return fill(polygon(*contours), np.eye(2), np.zeros(2), 4)

    assert pixels(square(2)).tolist() == [[0] * 4, [0, 255, 255, 0], [0, 255, 255, 0], [0] * 4]
    assert pixels(square(1, (0.5, 0.5)))[2].tolist() == [0, 0, 255, 0]
    assert pixels(square(1))[1].tolist() == [0, 64, 64, 0]
    ring = pixels(square(4), square(2, turn=-1))
    assert ring[1].tolist() == [255, 0, 0, 255]
    assert pixels(square(4), square(2))[1].tolist() == [255] * 4  # contours of one direction overlap
    assert pixels(square(2, (2, -2))).tolist() == [[0, 0, 0, 255], [0] * 4, [0] * 4, [0] * 4]  # cut off
    assert pixels(square(2, (9, 9))).max() == 0


@pytest.mark.parametrize("turn", [-1, 1])
@pytest.mark.parametrize("shift", [-1, 1])
def test_the_largest_jitter_cuts_nothing_off(turn, shift):
    class Extreme:
        @staticmethod
        def generate_state(count, dtype):
            top = 2**32 - 1
            return np.array([top if turn > 0 else 0, top, *[top if shift > 0 else 0] * 2], dtype)

    matrix, move = glyphs._jitter(Extreme, 28)
    assert np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(10 * turn, abs=0.02)
    box = polygon(square(1))
    drawn, area = fill(box, matrix, move, 28).sum() / 255, np.linalg.det(matrix)
    assert area == pytest.approx(22**2, rel=1e-6)
    assert drawn == pytest.approx(area, rel=2e-3)


@pytest.mark.parametrize(("name", "character"), [(SANS, "g"), (SERIF, "Ж"), (STIX, "Ω"), (SANS, "Ǽ")])
def test_against_the_outlines_that_freetype_reads(name, character):
    """matplotlib's path of the glyph, sampled at the same places; the last glyph is a composite."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path as Polygon
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), character, size=1000, prop=FontProperties(fname=FONTS / name))
    box = path.get_extents()
    x, y = np.meshgrid((places := (np.arange(28 * 8) + 0.5) / 8 - 14), -places)
    places = np.stack([x.ravel(), y.ravel()], 1) / 20 * max(box.width, box.height) + (box.p0 + box.p1) / 2
    turns = np.zeros(len(places))
    for corners in path.to_polygons():
        (x0, y0), (x1, y1) = corners[:-1].T, corners[1:].T
        turns += Polygon(corners).contains_points(places) * np.sign((x0 * y1 - x1 * y0).sum())
    expected = (turns != 0).reshape(28, 8, 28, 8).mean((1, 3)) * 255
    drawn = fill(Font(FONTS / name).outline(character), np.eye(2) * 20, np.zeros(2), 28)
    assert np.abs(drawn - expected).max() < 16
    assert np.abs(drawn - expected).mean() < 0.8


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with the two fonts in a folder."""
    folder = tmp_path / "site" / "font_toys" / "fonts" / "ttf"
    folder.mkdir(parents=True)
    for name in (SANS, SERIF):
        shutil.copy(FONTS / name, folder)
    (tmp_path / "site" / "font_toys" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


WHEEL = {"kind": "wheel", "package": "font_toys", "path": "fonts/ttf"}


def test_fonts_from_an_installed_package(arrays, package, tmp_path):
    target = fetch.obtain(entry(WHEEL), tmp_path / "toy")
    for name, array in arrays.items():
        assert np.array_equal(np.load(target / f"{name}.npy"), array), name


def test_an_altered_font_is_refused(package, tmp_path):
    font = bytearray((package / SERIF).read_bytes())
    font[1000] ^= 1
    (package / SERIF).write_bytes(font)
    with pytest.raises(GauntletError, match=rf"{SERIF}: altered: its sha256 is not the registry's"):
        fetch.obtain(entry(WHEEL), tmp_path / "toy")
    (package / SERIF).write_bytes(font[:-1])
    with pytest.raises(GauntletError, match=rf"{SERIF}: truncated"):
        fetch.obtain(entry(WHEEL), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_a_package_without_the_fonts(package, tmp_path):
    with pytest.raises(GauntletError, match=rf"{STIX}: not there"):
        fetch.obtain(entry(WHEEL, fonts={"stix": STIX}), tmp_path / "toy")
    with pytest.raises(GauntletError, match="the installed 'font_toys' has no fonts/otf"):
        fetch.obtain(entry({**WHEEL, "path": "fonts/otf"}), tmp_path / "toy")


@pytest.mark.parametrize("content", [b"", b"\0\1\0\0", b"OTTO" + bytes(200), b"<html>Sorry</html>" * 50])
def test_what_is_no_font(tmp_path, content):
    """Its hash is in the registry here, so that the reader meets it."""
    (tmp_path / SANS).write_bytes(content)
    with pytest.raises(GauntletError, match="not a TrueType font") as caught:
        glyphs.read({"sans": tmp_path / SANS}, entry(fonts={"sans": SANS}))
    assert caught.value.file == tmp_path / SANS


def test_the_registered_sets():
    same, other = registry.entry("glyphs"), registry.entry("glyphs-fonts")
    assert same.classes == other.classes
    assert same.classes == sorted(set(same.classes))
    assert all(len(name) == 1 for name in same.classes)
    assert [file.name for file in same.files.values()] == [file.name for file in other.files.values()]
    families = {
        split: {
            file.name.split("-")[0].split(".")[0]
            for role, file in other.files.items()
            if role.startswith(f"{split}_")
        }
        for split in ("train", "test")
    }
    assert families["train"] == {"DejaVuSans", "DejaVuSansMono"}
    assert not families["train"] & families["test"]
    for file in same.files.values():
        assert file.sha256 == facts((FONTS / file.name).read_bytes())["sha256"]
