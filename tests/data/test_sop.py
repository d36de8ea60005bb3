"""Stanford Online Products from miniature archives in its layout."""

import random

import pytest
from handmade import facts, packed, photo, photo_entry, totals, zipped

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch

ARCHIVE = "Stanford_Online_Products.zip"
TOP = "Stanford_Online_Products"
HEADER = "image_id class_id super_class_id path"
#: class -> paths; the classes of a super-class are neighbours, and their photos in no order
TRAIN = {
    1: ["bicycle_final/111085122871_0.JPG", "bicycle_final/111085122871_1.JPG"],
    2: ["chair_final/9_0.JPG"],
}
TEST = {
    7: ["bicycle_final/251952414262_1.JPG", "bicycle_final/251952414262_0.JPG"],
    11: ["toaster_final/5_0.JPG"],
}
COUNTS = totals(train=(3, 2), test=(3, 2))
LABEL = {1: 0, 2: 1, 7: 2, 11: 3}


def table(classes):
    rows = [(number, path) for number, paths in classes.items() for path in paths]
    lines = [f"{index} {number} 1 {path}" for index, (number, path) in enumerate(rows, 1)]
    return "\n".join([HEADER, *lines]).encode()


@pytest.fixture(scope="module")
def members():
    paths = [path for classes in (TRAIN, TEST) for paths in classes.values() for path in paths]
    files = [(f"{TOP}/{path}", photo(index)) for index, path in enumerate(paths)]
    random.Random(0).shuffle(files)
    lists = {
        "Ebay_train.txt": table(TRAIN),
        "Ebay_test.txt": table(TEST),
        "Ebay_info.txt": table(TRAIN | TEST),
    }
    mac = {f"__MACOSX/{TOP}/._Ebay_train.txt": b"\0", f"__MACOSX/{TOP}/bicycle_final/._9_0.JPG": b"\0"}
    return dict(files) | {f"{TOP}/{name}": content for name, content in lists.items()} | mac


def entry(content, *sources, **changes):
    fields = {"reader": "sop", "counts": COUNTS, "files": {"archive": {"name": ARCHIVE, **facts(content)}}}
    return photo_entry(*sources, **{**fields, **changes})


def obtain(members, server, folder, **changes):
    content = zipped(*members.items())
    return fetch.obtain(entry(content, server.source(**{ARCHIVE: content}), **changes), folder)


def test_the_published_archive(members, server, tmp_path):
    target = obtain(members, server, tmp_path / "toy")
    for split, classes in (("train", TRAIN), ("test", TEST)):
        expected = [
            (f"{TOP}/{path}", LABEL[number], members[f"{TOP}/{path}"])
            for number, paths in classes.items()
            for path in paths
        ]
        assert packed(target, split) == expected
    assert '"7"' in (target / "dataset.json").read_text()


def test_the_archive_in_the_users_folder(members, tmp_path, monkeypatch):
    content = zipped(*members.items())
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    target = fetch.obtain(entry(content), tmp_path / "toy")
    assert len(packed(target, "test")) == 3


def replaced(name, old, new):
    def apply(members):
        path = f"{TOP}/{name}"
        assert old in members[path]
        return {**members, path: members[path].replace(old, new)}

    return apply


def without(path):
    return lambda members: {name: body for name, body in members.items() if name != f"{TOP}/{path}"}


DAMAGE = {
    "a class on both sides": (
        replaced("Ebay_test.txt", b"3 11 1", b"3 1 1"),
        "the class '1' is in train and in test, but the set is zero-shot",
    ),
    "a photo missing": (without("toaster_final/5_0.JPG"), r"it has no Stanford.*toaster_final/5_0\.JPG$"),
    "a list missing": (without("Ebay_test.txt"), r"it has no .*Ebay_test\.txt"),
    "another header": (replaced("Ebay_train.txt", b"class_id", b"label"), "its first line is not image_id"),
    "an empty list": (replaced("Ebay_train.txt", table(TRAIN), b""), "its first line is not image_id"),
    "a class that is no number": (replaced("Ebay_test.txt", b"3 11 1", b"3 eleven 1"), "invalid literal"),
    "a photo too few": (
        replaced("Ebay_train.txt", b"\n3 2 1 chair_final/9_0.JPG", b""),
        "2 train images are listed, not 3",
    ),
    "a path that leads out": (
        lambda members: {"../../evil.JPG": b"x", **members},
        "refused: its name leads out",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(members, server, tmp_path, damage):
    alter, reason = DAMAGE[damage]
    with pytest.raises(GauntletError, match=f"(?m){reason}"):
        obtain(alter(members), server, tmp_path / "toy")
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


def test_a_class_on_both_sides_of_a_set_that_is_not_zero_shot(members, server, tmp_path):
    both = replaced("Ebay_test.txt", b"3 11 1", b"3 1 1")(members)
    both = replaced("Ebay_test.txt", b" 7 1 ", b" 2 1 ")(both)
    target = obtain(both, server, tmp_path / "toy", zero_shot=False)
    assert [label for _, label, _ in packed(target, "test")] == [1, 1, 0]
