"""All of ImageNet from miniature archives: a tar of tars for training, and the development kit's labels."""

import pytest
from handmade import facts, packed, photo, photo_entry, tar, totals
from test_imagenet import SYNSETS, kit, name

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry
from gauntlet.data.extract import member_names, stream_members

FILES = {"train": "ILSVRC2012_img_train.tar", "images": "ILSVRC2012_img_val.tar"}
KIT = "ILSVRC2012_devkit_t12.tar.gz"
LABEL = {"n01440764": 0, "n02112137": 1, "n02119789": 2}
TRUTH = [2, 1, 3, 1]  # numbers of the kit: tench, fox, chow, fox
COUNTS = totals(train=(6, 3), test=(4, 3))
#: The classes' archives in the order of the archive, their photos in theirs.
TRAINED = {"n02119789": [7, 18], "n01440764": [10, 9, 1000], "n02112137": [3]}


def path(wnid, number):
    return f"{wnid}.tar/{wnid}_{number}.JPEG"


@pytest.fixture(scope="module")
def photos():
    found = {path(wnid, number): photo(number) for wnid, numbers in TRAINED.items() for number in numbers}
    return found | {name(number): photo(500 + number) for number in range(1, 5)}


def nested(photos):
    """A tar of the tars of the classes, in the order of the photos."""
    inner = {}
    for member, body in photos.items():
        if "/" in member:
            outer, own = member.split("/", 1)
            inner.setdefault(outer, []).append((own, body))
    return tar(*((outer, tar(*members, mode="w")) for outer, members in inner.items()), mode="w")


def truth(numbers=TRUTH):
    return kit(ILSVRC2012="".join(f"{number}\n" for number in numbers).encode())


def obtain(tmp_path, monkeypatch, train, photos, devkit=None, **changes):
    validation = tar(*((member, body) for member, body in photos.items() if "/" not in member), mode="w")
    contents = {FILES["train"]: train, FILES["images"]: validation, KIT: devkit or truth()}
    (tmp_path / "store").mkdir()
    for file, content in contents.items():
        (tmp_path / "store" / file).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    files = {role: {"name": file, **facts(contents[file])} for role, file in FILES.items()}
    files["devkit"] = {"name": KIT, **facts(contents[KIT])}
    fields = {"reader": "imagenet", "zero_shot": False, "terms": "account", "counts": COUNTS, "files": files}
    return fetch.obtain(photo_entry(**{**fields, **changes}), tmp_path / "toy")


def test_the_files_of_the_user(photos, tmp_path, monkeypatch):
    target = obtain(tmp_path, monkeypatch, nested(photos), photos)
    expected = [(path(wnid, number), LABEL[wnid]) for wnid, numbers in TRAINED.items() for number in numbers]
    assert packed(target, "train") == [(member, label, photos[member]) for member, label in expected]
    labels = [LABEL[SYNSETS[number - 1][1]] for number in TRUTH]
    assert packed(target, "test") == [
        (name(number), label, photos[name(number)]) for number, label in enumerate(labels, 1)
    ]


def with_member(member, body):
    return lambda photos: nested({**photos, member: body})


DAMAGE = {
    "no archive of a class": (lambda photos: tar(("n01440764_1.JPEG", b"x"), mode="w"), "not a photo in the"),
    "a photo of another class": (with_member("n01440764.tar/n02119789_9.JPEG", b"x"), "not a photo in the"),
    "a class that the kit has not": (
        with_member("n00000001.tar/n00000001_1.JPEG", b"x"),
        "no class n00000001",
    ),
    "a class above others": (with_member("n02083346.tar/n02083346_1.JPEG", b"x"), "no class n02083346"),
    "a photo too many": (with_member(path("n02112137", 4), b"x"), "7 train images are listed, not 6"),
    "a photo that does not decode": (with_member(path("n02112137", 3), b"x"), "it does not decode"),
    "an archive of a class cut short": (
        lambda photos: tar(
            ("n01440764.tar", tar(("n01440764_1.JPEG", bytes(2000)), mode="w")[:700]), mode="w"
        ),
        "damaged archive|cannot unpack",
    ),
    "an archive of a class that is none": (
        lambda photos: tar(("n01440764.tar", b"x" * 600), mode="w"),
        "damaged",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive(photos, tmp_path, monkeypatch, damage):
    """Its hash is in the registry here, so that the reader meets it."""
    make, reason = DAMAGE[damage]
    with pytest.raises(GauntletError, match=reason):
        obtain(tmp_path, monkeypatch, make(photos), photos)
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ([2, 1, 3], "3 test images are listed, not 4"),
        ([2, 1, 3, 1001], "line 4 is of the class 1001, which no photos have"),
        ([2, 1, 1, 1], "2 test classes are listed, not 3"),
    ],
    ids=str,
)
def test_other_labels_for_validation(photos, tmp_path, monkeypatch, numbers, reason):
    with pytest.raises(GauntletError, match=reason):
        obtain(tmp_path, monkeypatch, nested(photos), photos, truth(numbers))


def test_archives_in_archives_count_what_they_hold(tmp_path):
    """One level is opened, no more; what a limit counts is what they unpack to."""
    archive = tmp_path / "x.tar"
    deep = tar(("c", b"x" * 100), mode="w")
    archive.write_bytes(tar(("a.tar", tar(("b.tar", deep), ("d", b"y"), mode="w")), ("e", b"z"), mode="w"))
    assert member_names(archive) == ["a.tar/b.tar", "a.tar/d", "e"]
    assert dict(stream_members(archive, ["a.tar/d", "e"], limit=len(deep) + 2)) == {
        "a.tar/d": b"y",
        "e": b"z",
    }
    with pytest.raises(GauntletError, match="more bytes than"):
        list(stream_members(archive, ["a.tar/d", "e"], limit=len(deep) + 1))


def test_the_entry_of_the_registry():
    """The archive for validation and the kit are those of the smaller set."""
    real, part = registry.entry("imagenet"), registry.entry("imagenet-val")
    assert {role: real.files[role] for role in part.files} == part.files
    assert (real.examples("train"), real.examples("test"), real.class_count) == (1_281_167, 50_000, 1_000)
