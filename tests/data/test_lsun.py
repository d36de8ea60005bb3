"""LSUN from miniature databases in their zip archives, written by LMDB itself."""

import hashlib

import lmdb
import pytest
from handmade import facts, packed, photo, photo_entry, totals, zipped

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry
from gauntlet.data.extract import member_names, stream_members

COUNTS = {"train": 5, "test": 2}
NAMES = {"train": "bedroom_train_lmdb", "test": "bedroom_val_lmdb"}


def key(content):
    return hashlib.sha1(content).hexdigest()


def database(folder, records):
    """``data.mdb`` and ``lock.mdb``, as bytes."""
    with lmdb.open(str(folder), map_size=1 << 22) as opened, opened.begin(write=True) as transaction:
        for name, content in records.items():
            transaction.put(name.encode(), content)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def photos():
    """By key, not in the order of the keys; one is a JPEG."""
    found = {}
    for split, count in COUNTS.items():
        kinds = ["WEBP"] * (count - 1) + ["JPEG"]
        bodies = [photo(len(found) * 10 + number, (40, 32), kind=kind) for number, kind in enumerate(kinds)]
        found[split] = {key(body): body for body in bodies}
    return found


@pytest.fixture(scope="module")
def archives(photos, tmp_path_factory):
    made = {}
    for split, records in photos.items():
        files = database(tmp_path_factory.mktemp(split), records)
        made[split] = zipped(*((f"{NAMES[split]}/{name}", body) for name, body in sorted(files.items())))
    return made


def entry(contents):
    files = {
        split: {"name": f"{NAMES[split]}.zip", **facts(content), "member": "data.mdb"}
        for split, content in contents.items()
    }
    counts = totals(train=(COUNTS["train"], 1), test=(COUNTS["test"], 1))
    return photo_entry(reader="lsun", counts=counts, files=files, zero_shot=False)


def obtain(contents, tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    for split, content in contents.items():
        (tmp_path / "store" / f"{NAMES[split]}.zip").write_bytes(content)
    (tmp_path / "store").chmod(0o555)  # a store is only read
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return fetch.obtain(entry(contents), tmp_path / "work" / "toy")


def test_the_published_archives(photos, archives, tmp_path, monkeypatch):
    """In the order of the keys; nothing but the prepared set and the lock is left."""
    target = obtain(archives, tmp_path, monkeypatch)
    for split, records in photos.items():
        assert packed(target, split) == [(name, 0, records[name]) for name in sorted(records)]
    assert {path.name for path in target.parent.iterdir()} == {"toy", ".toy.lock"}


def test_records_larger_than_a_page(tmp_path):
    """LMDB keeps these elsewhere in its file."""
    records = {"a": bytes(3), "b": b"x" * 70_000, "c": b"y"}
    path = tmp_path / "data.mdb"
    path.write_bytes(database(tmp_path / "db", records)["data.mdb"])
    assert member_names(path) == ["a", "b", "c"]
    assert dict(stream_members(path, ["b", "c"], limit=100_000)) == {"b": records["b"], "c": b"y"}
    with pytest.raises(GauntletError, match="more bytes than"):
        list(stream_members(path, ["b", "c"], limit=60_000))


DAMAGE = {
    "no database": (b"<html>" * 3000, "not a whole LMDB file"),
    "empty": (b"", "not a whole LMDB file"),
    "cut short": (lambda body: body[: len(body) // 2], r"not a whole LMDB file \(\d+ bytes of \d+\)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_database(photos, archives, tmp_path, monkeypatch, damage):
    content, reason = DAMAGE[damage]
    if callable(content):
        content = content(database(tmp_path / "db", photos["test"])["data.mdb"])
    contents = {**archives, "test": zipped((f"{NAMES['test']}/data.mdb", content))}
    with pytest.raises(GauntletError, match=reason):
        obtain(contents, tmp_path, monkeypatch)
    assert not (tmp_path / "work" / "toy").exists()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("x/lock.mdb", b"x")], r"it has 0 files data\.mdb, not one"),
        ([("x/data.mdb", b"x"), ("y/data.mdb", b"x")], r"it has 2 files data\.mdb, not one"),
        ([("../data.mdb", b"x")], "its name leads out of the folder"),
    ],
    ids=["none", "two", "outside"],
)
def test_archives_without_one_database(archives, tmp_path, monkeypatch, members, reason):
    with pytest.raises(GauntletError, match=reason):
        obtain({**archives, "test": zipped(*members)}, tmp_path, monkeypatch)
    assert not (tmp_path / "data.mdb").exists()


def test_a_damaged_photo(photos, archives, tmp_path, monkeypatch):
    """WebP that ends too early is named by its key."""
    records = dict(photos["test"])
    name = min(records)
    records[name] = records[name][:60]
    files = database(tmp_path / "db", records)
    contents = {**archives, "test": zipped((f"{NAMES['test']}/data.mdb", files["data.mdb"]))}
    with pytest.raises(GauntletError, match=f"{name}: it does not decode"):
        obtain(contents, tmp_path, monkeypatch)


def test_the_entries_of_the_registry():
    published = {"bedroom": 3_033_042, "church-outdoor": 126_227, "classroom": 168_103}
    for scene, count in published.items():
        real = registry.entry(f"lsun-{scene}")
        assert (real.examples("train"), real.examples("test"), real.class_count) == (count, 300, 1)
