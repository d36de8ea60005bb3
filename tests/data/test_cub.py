"""CUB-200-2011 from miniature archives in its layout: the split, the order, and every damage."""

import random
import tarfile

import numpy as np
import pytest
from handmade import facts, packed, photo, photo_entry, tar, totals

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared

ARCHIVE = "CUB_200_2011.tgz"
CLASSES = [
    "001.Black_footed_Albatross",
    "002.Laysan_Albatross",
    "003.Sooty_Albatross",
    "004.Groove_billed_Ani",
]
PER_CLASS = (3, 2, 4, 2)
COUNTS = totals(train=(5, 2), test=(6, 2))


@pytest.fixture(scope="module")
def members():
    """The archive's files by path, the lists behind the photos, which are in no order."""
    paths = [
        f"{name}/{name[4:]}_{number:04}_{number}.jpg"
        for name, count in zip(CLASSES, PER_CLASS, strict=True)
        for number in range(count)
    ]
    modes = ["L" if index == 1 else "CMYK" if index == 2 else "RGB" for index in range(len(paths))]
    files = [
        (f"images/{path}", photo(index, (20 + index, 18), mode))
        for index, (path, mode) in enumerate(zip(paths, modes, strict=True))
    ]
    random.Random(0).shuffle(files)
    labels = [CLASSES.index(path.split("/")[0]) + 1 for path in paths]
    lists = {
        "README": "",
        "images.txt": "".join(f"{number} {path}\n" for number, path in enumerate(paths, 1)),
        "image_class_labels.txt": "".join(f"{number} {label}\n" for number, label in enumerate(labels, 1)),
        "classes.txt": "".join(f"{number} {name}\n" for number, name in enumerate(CLASSES, 1)),
        "train_test_split.txt": "".join(f"{number} {number % 2}\n" for number in range(1, len(paths) + 1)),
        "parts/parts.txt": "1 back\n",
    }
    files = {f"CUB_200_2011/{path}": content for path, content in files}
    files["attributes.txt"] = b"1 has_bill_shape::curved_(up_or_down)\n"
    return files | {f"CUB_200_2011/{name}": content.encode() for name, content in lists.items()}


def archive(members):
    return tar(("CUB_200_2011/images/._x.jpg", b"\0"), *members.items(), mode="w:gz")


def entry(content, *sources, **changes):
    fields = {"reader": "cub", "counts": COUNTS, "files": {"archive": {"name": ARCHIVE, **facts(content)}}}
    return photo_entry(*sources, **{**fields, **changes})


def test_the_published_archive(members, server, tmp_path):
    content = archive(members)
    toy = entry(content, server.source(**{ARCHIVE: content}))
    target = fetch.obtain(toy, tmp_path / "toy")
    listed = members["CUB_200_2011/images.txt"].decode().split()[1::2]
    expected = [
        (f"CUB_200_2011/images/{path}", int(path[:3]) - 1, members[f"CUB_200_2011/images/{path}"])
        for path in listed
    ]
    assert packed(target, "train") == expected[:5]
    assert packed(target, "test") == expected[5:]
    assert {path.name for path in target.iterdir()} == set(toy.prepared_files)
    assert np.load(target / "test_labels.npy").dtype == np.uint8


def test_the_order_in_the_archive_does_not_matter(members, server, tmp_path):
    """Nor does a folder around it, as when somebody packed it again."""
    found = []
    for name, files in {
        "a": members,
        "b": dict(reversed(members.items())),
        "c": {f"./data/{path}": content for path, content in members.items()},
    }.items():
        content = archive(files)
        toy = entry(content, server.source(**{ARCHIVE: content}))
        found.append(prepared.hashes(fetch.obtain(toy, tmp_path / name), toy.prepared_files))
    assert found[0] == found[1] == found[2]


def test_prepared_again_from_the_pins(members, server, tmp_path, monkeypatch):
    content = archive(members)
    toy = entry(content, server.source(**{ARCHIVE: content}))
    first = fetch.obtain(toy, tmp_path / "store" / "toy")
    pinned = entry(
        content, server.source(**{ARCHIVE: content}), prepared=prepared.hashes(first, toy.prepared_files)
    )
    server.requests.clear()
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    second = fetch.obtain(pinned, tmp_path / "toy")
    assert server.requests == []
    assert packed(second, "test") == packed(first, "test")
    (second / "train_images.bin").write_bytes(b"damaged")
    assert prepared.verify(second, pinned.prepared)[0] == "train_images.bin"
    fetch.obtain(pinned, second)
    assert packed(second, "train") == packed(first, "train")


FIRST = f"CUB_200_2011/images/{CLASSES[0]}/Black_footed_Albatross_0000_0.jpg"


def without(path):
    return lambda members: {name: body for name, body in members.items() if name != path}


def change(name, function):
    path = name if "/images/" in name else f"CUB_200_2011/{name}"
    return lambda members: {**members, path: function(members[path])}


def middle_zeroed(body):
    return body[:2] + bytes(200) + body[202:]


DAMAGE = {
    "a photo missing": (without(FIRST), r"it has no CUB_200_2011/images/001\.Black.*0000_0\.jpg"),
    "a photo cut short": (change(FIRST, lambda body: body[:-60]), r"0000_0\.jpg: it does not decode .*trunc"),
    "an empty photo": (change(FIRST, lambda body: b""), r"0000_0\.jpg: it does not decode .*empty"),
    "no photo at all": (change(FIRST, lambda body: b"<html>" * 50), r"0000_0\.jpg: it does not decode"),
    "its head zeroed": (change(FIRST, middle_zeroed), r"0000_0\.jpg: it does not decode"),
    "no list of images": (without("CUB_200_2011/images.txt"), r"it has no CUB_200_2011/images\.txt"),
    "a label missing": (
        change("image_class_labels.txt", lambda body: body[: body.rindex(b"\n", 0, -1) + 1]),
        r"image_class_labels\.txt: 10 labels that are not those of 11",
    ),
    "a label that is no class": (
        change("image_class_labels.txt", lambda body: body.replace(b"\n2 1", b"\n2 9")),
        "unknown class 9",
    ),
    "a label that is no number": (
        change("image_class_labels.txt", lambda body: body.replace(b"\n2 1", b"\n2 one")),
        "unknown class one",
    ),
    "a line without a path": (change("images.txt", lambda body: body + b"12\n"), r"line 12 has 1 fields"),
    "a list of bytes": (change("images.txt", lambda body: b"\xff\xfe" + body), "not text"),
    "a photo listed twice": (
        change("images.txt", lambda body: body.replace(b"0001_1", b"0000_0")),
        r"0000_0\.jpg is listed twice",
    ),
    "a class gone": (
        change("classes.txt", lambda body: body.replace(b"4 004", b"5 005")),
        "unknown class 4",
    ),
    "an image more in another class": (
        change("image_class_labels.txt", lambda body: body.replace(b"\n5 2", b"\n5 3")),
        "4 train images are listed, not 5",
    ),
    "a path that leads out": (
        lambda members: {**members, "../evil.jpg": b"x"},
        r"\.\./evil\.jpg: refused: its name leads out",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(members, server, tmp_path, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    alter, reason = DAMAGE[damage]
    files = alter(members)
    content = archive(dict(reversed(files.items())))
    with pytest.raises(GauntletError, match=reason) as caught:
        fetch.obtain(entry(content, server.source(**{ARCHIVE: content})), tmp_path / "toy")
    assert ARCHIVE in caught.value.problem or "toy" in caught.value.problem
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


def test_a_photo_that_is_a_link(members, server, tmp_path):
    link = tarfile.TarInfo(FIRST)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    content = tar((link, b""), *without(FIRST)(members).items(), mode="w:gz")
    with pytest.raises(GauntletError, match="not a regular file"):
        fetch.obtain(entry(content, server.source(**{ARCHIVE: content})), tmp_path / "toy")


def test_a_photo_that_is_there_twice(members, server, tmp_path):
    content = tar((FIRST, photo(99)), *members.items(), mode="w:gz")
    with pytest.raises(GauntletError, match="appears twice"):
        fetch.obtain(entry(content, server.source(**{ARCHIVE: content})), tmp_path / "toy")


def test_a_bomb(members, server, tmp_path):
    content = tar(("CUB_200_2011/zeros", bytes(3_000_000)), *members.items(), mode="w:gz")
    assert len(content) < 100_000
    with pytest.raises(GauntletError, match="more bytes than this dataset can have"):
        fetch.obtain(entry(content, server.source(**{ARCHIVE: content})), tmp_path / "toy")


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (totals(train=(5, 2), test=(7, 2)), "6 test images are listed, not 7"),
        (totals(train=(3, 1), test=(8, 2)), "3 test classes are listed, not 2"),
    ],
)
def test_other_counts(members, server, tmp_path, counts, reason):
    content = archive(members)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(content, server.source(**{ARCHIVE: content}), counts=counts), tmp_path / "toy")


def test_an_archive_cut_short(members, server, tmp_path):
    content = archive(members)[:-400]
    with pytest.raises(GauntletError, match=r"archive|unpack"):
        fetch.obtain(entry(content, server.source(**{ARCHIVE: content})), tmp_path / "toy")
