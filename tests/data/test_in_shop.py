"""In-Shop Clothes Retrieval from miniature files in its layout; there is nothing to download."""

import stat

import pytest
from handmade import packed, photo, photo_entry, totals, zipped

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch

ROWS = [
    ("img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "id_00000002", "train"),
    ("img/WOMEN/Dresses/id_00000002/02_2_side.jpg", "id_00000002", "train"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_3_back.jpg", "id_00000001", "query"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_1_front.jpg", "id_00000001", "gallery"),
    ("img/MEN/Denim/id_00000080/01_1_front.jpg", "id_00000080", "gallery"),
    ("img/MEN/Denim/id_00000080/01_2_side.jpg", "id_00000080", "query"),
    ("img/MEN/Denim/id_00000182/01_2_side.jpg", "id_00000182", "train"),
]
LABEL = {"id_00000001": 0, "id_00000002": 1, "id_00000080": 2, "id_00000182": 3}
COUNTS = totals(train=(3, 2), test=(2, 2), gallery=(2, 2))
FILES = {
    "images": {"name": "img.zip", "unverified": True},
    "partition": {"name": "list_eval_partition.txt", "unverified": True},
}


def partition(rows=ROWS, count=None):
    lines = [f"{name:<80}  {item}  {status}" for name, item, status in rows]
    header = "image_name item_id evaluation_status"
    return "\n".join([str(len(rows) if count is None else count), header, *lines, ""]).encode()


@pytest.fixture(scope="module")
def members():
    return {name: photo(index, (16, 16)) for index, (name, *_) in reversed(list(enumerate(ROWS)))}


@pytest.fixture
def entry():
    return photo_entry(reader="in_shop", counts=COUNTS, files=FILES, terms="account")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The user's folder, as DeepFashion's is arranged."""
    for folder in ("Img", "Eval"):
        (tmp_path / "store" / "In-shop" / folder).mkdir(parents=True)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return tmp_path / "store" / "In-shop"


def fill(store, images, listed=None):
    (store / "Img" / "img.zip").write_bytes(images)
    (store / "Eval" / "list_eval_partition.txt").write_bytes(listed or partition())


def test_the_files_of_the_user(members, entry, store, tmp_path):
    fill(store, zipped(*members.items()))
    target = fetch.obtain(entry, tmp_path / "toy")
    for split, status in (("train", "train"), ("test", "query"), ("gallery", "gallery")):
        expected = [(name, LABEL[item], members[name]) for name, item, at in ROWS if at == status]
        assert packed(target, split) == expected
    assert {path.name for path in target.iterdir()} == set(entry.prepared_files)
    assert len(entry.prepared_files) == 13
    assert not any(path.stat().st_mode & stat.S_IWOTH for path in target.iterdir())


def test_without_the_files_it_says_where_to_register(entry, tmp_path):
    with pytest.raises(GauntletError) as caught:
        fetch.obtain(entry, tmp_path / "toy")
    said = caught.value.remedy
    assert said.startswith("register with the publisher (handmade), download these files, put them into")
    assert "FOLDER/toy/" in said
    assert said.split()[-2:] == ["img.zip", "list_eval_partition.txt"]


def test_an_encrypted_archive(members, entry, store, tmp_path):
    """As the publisher's is: every member's first flag is set."""
    images = bytearray(zipped(*members.items()))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := images.find(signature, at + 1)) >= 0:
            images[at + offset] |= 1
    fill(store, bytes(images))
    with pytest.raises(GauntletError, match="it is encrypted; unpack it with the publisher's password"):
        fetch.obtain(entry, tmp_path / "toy")


def test_two_files_of_one_name(members, entry, store, tmp_path):
    """DeepFashion has an img.zip for each of its benchmarks; none of them has a published hash."""
    fill(store, zipped(*members.items()))
    other = store.parent / "Consumer-to-shop" / "img.zip"
    other.parent.mkdir()
    other.write_bytes(b"x")
    with pytest.raises(GauntletError, match=r"img\.zip: there are 2 files of this name"):
        fetch.obtain(entry, tmp_path / "toy")
    store.rename(store.parent / "toy")
    fetch.obtain(entry, tmp_path / "toy")


def swap(row, **changes):
    name, item, status = ROWS[row]
    new = (changes.get("name", name), changes.get("item", item), changes.get("status", status))
    return [new if index == row else old for index, old in enumerate(ROWS)]


DAMAGE = {
    "CelebA's file of this name": (b"000001.jpg 0\n000002.jpg 1\n", "line 1 has 2 fields"),
    "another header": (partition().replace(b"item_id", b"id", 1), "its second line is not image_name"),
    "another count": (partition(count=9), "it has 7 images, and its first line says 9"),
    "no count": (partition(count="many"), "invalid literal"),
    "an unknown status": (partition(swap(0, status="val")), "the status 'val' is unknown"),
    "an item on both sides": (
        partition(swap(3, item="id_00000002")),
        "the class 'id_00000002' is in train and in gallery",
    ),
    "a photo that is not there": (
        partition(swap(0, name="img/WOMEN/none.jpg")),
        r"img\.zip: it has no img/WOMEN/none\.jpg",
    ),
    "a photo too few": (partition(ROWS[:-1]), "2 train images are listed, not 3"),
    "a query too many": (partition(swap(3, status="query")), "3 test images are listed, not 2"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_wrong_partition(members, entry, store, tmp_path, damage):
    content, reason = DAMAGE[damage]
    fill(store, zipped(*members.items()), content)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_a_damaged_photo(members, entry, store, tmp_path):
    name = ROWS[4][0]
    fill(store, zipped(*{**members, name: members[name][:100]}.items()))
    with pytest.raises(GauntletError, match=r"img\.zip: img/MEN/Denim.*01_1_front\.jpg: it does not decode"):
        fetch.obtain(entry, tmp_path / "toy")
