import errno
import gzip
import io
import stat
import tarfile
import zipfile

import pytest
from handmade import deb, tar

from gauntlet.core.errors import GauntletError
from gauntlet.data import extract as extract_module
from gauntlet.data.extract import extract, member_names, read_members, stream_members


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info, b""


def zipped(name: str, content: bytes, mode: int = 0o100644) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return out.getvalue()


def unpack(tmp_path, name: str, content: bytes, limit: int = 10_000) -> dict[str, bytes]:
    """Unpack into tmp_path/"out"; afterwards nothing may have appeared beside it."""
    (tmp_path / name).write_bytes(content)
    into = tmp_path / "out"
    into.mkdir()
    try:
        extract(tmp_path / name, into, limit=limit)
    finally:
        assert {path.name for path in tmp_path.iterdir()} == {name, "out"}
        assert not any(path.is_symlink() for path in into.rglob("*"))
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


CONTENT = [("./a", b"one"), ("b/c", b"two")]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_tar(tmp_path, suffix):
    mode = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}[suffix]
    assert unpack(tmp_path, f"x.{suffix}", tar(*CONTENT, mode=mode)) == {"a": b"one", "b/c": b"two"}


def test_zip(tmp_path):
    assert unpack(tmp_path, "x.zip", zipped("b/c", b"two")) == {"b/c": b"two"}


def test_gz(tmp_path):
    assert unpack(tmp_path, "x-idx.gz", gzip.compress(b"two", mtime=0)) == {"x-idx": b"two"}


def test_debian_package(tmp_path):
    assert unpack(tmp_path, "x.deb", deb(tar(*CONTENT))) == {"a": b"one", "b/c": b"two"}


def test_debian_package_with_zstandard(tmp_path):
    import pyarrow as pa

    data = pa.compress(tar(*CONTENT, mode="w"), "zstd", asbytes=True)
    assert unpack(tmp_path, "x.deb", deb(data, "zst")) == {"a": b"one", "b/c": b"two"}


def test_an_inner_link_becomes_a_copy(tmp_path):
    archive = tar(("d/a", b"one"), link("d/b", "../d/a"), link("c", "d/a", tarfile.LNKTYPE), mode="w")
    assert unpack(tmp_path, "x.tar", archive) == {"d/a": b"one", "d/b": b"one", "c": b"one"}


@pytest.mark.parametrize(
    "members",
    [
        [("/etc/evil", b"x")],
        [("../evil", b"x")],
        [("a/../../evil", b"x")],
        [("a\\..\\..\\evil", b"x")],
        [("c:/evil", b"x")],
        [link("a", "/etc/passwd")],
        [link("a", "../evil")],
        [link("d/a", "../../evil")],
        [link("a", "/etc/passwd", tarfile.LNKTYPE)],
        [link("a", "../evil", tarfile.LNKTYPE)],
        [link("a", "not-there")],
        [link("a", "."), ("a/evil", b"x")],
        [special("a", tarfile.CHRTYPE)],
        [special("a", tarfile.BLKTYPE)],
        [special("a", tarfile.FIFOTYPE)],
        [("a", b"one"), ("a", b"two")],
        [("a", b"one"), ("a/b", b"two")],
        [("a/b", b"one"), ("a", b"two")],
        [("a", b"one"), special("a", tarfile.DIRTYPE)],
        [("a" * 300, b"one")],
    ],
    ids=lambda members: " ".join(str(getattr(info, "name", info)) for info, _ in members),
)
@pytest.mark.parametrize("kind", ["tar", "deb"])
def test_hostile_members_are_refused_and_named(tmp_path, kind, members):
    archive = tar(*members, mode="w") if kind == "tar" else deb(tar(*members))
    with pytest.raises(GauntletError, match="refused") as caught:
        unpack(tmp_path, f"x.{kind}", archive)
    culprits = {str(getattr(info, "name", info)) for info, _ in members}
    assert caught.value.key in culprits
    assert caught.value.file.name == f"x.{kind}"


@pytest.mark.parametrize(
    "archive",
    [
        zipped("/etc/evil", b"x"),
        zipped("../evil", b"x"),
        zipped("a", b"/etc/passwd", stat.S_IFLNK | 0o777),
        zipped("a", b"", stat.S_IFCHR | 0o666),
    ],
)
def test_hostile_zips_are_refused(tmp_path, archive):
    with pytest.raises(GauntletError, match="refused"):
        unpack(tmp_path, "x.zip", archive)


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("x.tar.xz", tar(("a", bytes(600_000)), ("b", bytes(600_000)))),
        ("x.zip", zipped("a", bytes(1_200_000))),
        ("x.deb", deb(tar(("a", bytes(1_200_000))))),
        ("x.gz", gzip.compress(bytes(1_200_000), mtime=0)),
    ],
)
def test_a_bomb_stops_at_the_declared_size(tmp_path, name, archive):
    assert len(archive) < 100_000
    with pytest.raises(GauntletError, match="more bytes than declared"):
        unpack(tmp_path, name, archive, limit=1_000_000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= 1_000_000


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("x.tar.gz", tar(*CONTENT, mode="w:gz")),
        ("x.tar.xz", tar(*CONTENT)),
        ("x.zip", zipped("a", b"one")),
        ("x.gz", gzip.compress(b"one", mtime=0)),
        ("x.deb", deb(tar(*CONTENT))),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "html", "empty"])
def test_a_damaged_archive_is_one_clear_error(tmp_path, name, archive, damage):
    content = {"cut": archive[: len(archive) * 2 // 3], "html": b"<html>Sorry</html>" * 20, "empty": b""}[
        damage
    ]
    with pytest.raises(GauntletError, match=name.replace(".", r"\.")):
        unpack(tmp_path, name, content)


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(GauntletError, match="known kind"):
        unpack(tmp_path, "x.rar", b"Rar!")


def in_memory(tmp_path, content, names=("a", "c"), limit=6):
    (tmp_path / "x.tar").write_bytes(content)
    try:
        return read_members(tmp_path / "x.tar", names, limit=limit)
    finally:
        assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


def test_chosen_members_are_read_and_the_rest_is_left(tmp_path):
    archive = tar(("../evil", b"x" * 100), ("d/a", b"one"), ("b", b"x" * 100), ("c", b"two"), mode="w")
    assert in_memory(tmp_path, archive) == {"a": b"one", "c": b"two"}
    assert in_memory(tmp_path, tar(("d/a", b"one"), ("c", b"two"), mode="w:gz")) == {"a": b"one", "c": b"two"}


def test_reading_ends_with_the_last_chosen_member(tmp_path):
    archive = tar(("a", b"one"), ("c", b"two"), ("unlabelled", b"x" * 10_000), mode="w")
    assert in_memory(tmp_path, archive[:4000]) == {"a": b"one", "c": b"two"}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("a", b"one")], "it has no c"),
        ([("a", b"one"), ("d/a", b"two"), ("c", b"")], "appears twice"),
        ([("a", b"one"), link("c", "a")], "not a regular file"),
        ([("a", b"one"), link("c", "a", tarfile.LNKTYPE)], "not a regular file"),
        ([("a", b"one"), special("c", tarfile.FIFOTYPE)], "not a regular file"),
        ([("a", b"one"), ("c", b"four")], "larger than"),
    ],
)
def test_chosen_members_that_are_refused(tmp_path, members, reason):
    with pytest.raises(GauntletError, match=reason) as caught:
        in_memory(tmp_path, tar(*members, mode="w"))
    assert caught.value.file == tmp_path / "x.tar"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "content", [b"", b"<html>Sorry</html>", tar(("a", b"one"), ("c", b"x" * 6000), mode="w")[:3000]]
)
def test_chosen_members_of_a_damaged_archive(tmp_path, content):
    with pytest.raises(GauntletError, match=r"archive|unpack"):
        in_memory(tmp_path, content, limit=10_000)


def streamed(tmp_path, name, content, names, limit=10_000):
    (tmp_path / name).write_bytes(content)
    found = list(stream_members(tmp_path / name, names, limit=limit, member_limit=5_000))
    assert {path.name for path in tmp_path.iterdir()} == {name}
    return found


@pytest.mark.parametrize("kind", ["x.tgz", "x.zip"])
def test_members_come_one_by_one_in_the_archives_order(tmp_path, kind):
    members = [
        ("top/b/2.jpg", b"two"),
        ("top/._1.jpg", b"no"),
        ("top/a/1.jpg", b"one"),
        ("top/a/3.jpg", b"no"),
    ]
    content = tar(*members, mode="w:gz") if kind == "x.tgz" else zipped_many(*members)
    assert streamed(tmp_path, kind, content, ["a/1.jpg", "b/2.jpg"]) == [
        ("b/2.jpg", b"two"),
        ("a/1.jpg", b"one"),
    ]
    assert member_names(tmp_path / kind) == [name for name, _ in members]


def zipped_many(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def test_a_streamed_archive_is_read_no_further_than_needed(tmp_path):
    whole = tar(("a", b"one"), ("b", bytes(100_000)), mode="w")
    assert streamed(tmp_path, "x.tar", whole[:2000], ["a"]) == [("a", b"one")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped("a", b"/etc/passwd", 0o120777), "not a regular file"),
        (zipped("../a", b"x"), "leads out"),
        (zipped("/b/a", b"x"), "not a relative path"),
        (zipped("a", bytes(20_000)), "more bytes than"),
        (zipped("b", bytes(20_000)), "more bytes than"),
        (zipped("a", bytes(6_000)), "it has 6000 bytes"),
        (zipped("b", b"x"), "it has no a"),
        (zipped_many(("a", b"x" * 50)).replace(b"x" * 50, b"y" * 50), "damaged archive"),
        (b"PK", "damaged archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_members_of_a_streamed_zip(tmp_path, content, reason):
    with pytest.raises(GauntletError, match=reason):
        streamed(tmp_path, "x.zip", content, ["a"])


@pytest.mark.parametrize(
    ("record", "at", "value"),
    [
        (b"PK\1\2", 46, b"\0"),  # an empty name
        (b"PK\1\2", 46, b"\xff"),  # a name that is no text, though the flags say UTF-8
        (b"PK\5\6", 17, b"\x7f"),  # the index lies further on than it does, so members lie before the file
    ],
    ids=["no name", "a name of bytes", "a member before the file"],
)
def test_a_damaged_index_of_a_zip(tmp_path, record, at, value):
    content = bytearray(zipped_many(("ä", b"one" * 20), ("b", b"two" * 20)))
    at += content.find(record)
    content[at : at + 1] = value
    for read in (lambda path: streamed(tmp_path, path.name, bytes(content), ["ä", "b"]), member_names_or_all):
        with pytest.raises(GauntletError, match="damaged archive"):
            read(tmp_path / "x.zip")


def member_names_or_all(path):
    """The names; where they are well, what extracting gives."""
    member_names(path)
    into = path.parent / "out"
    into.mkdir()
    return extract(path, into, limit=1000)


def test_a_full_disk_is_not_the_archives_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module._Target, "write", full)
    (tmp_path / "x.zip").write_bytes(zipped("a", b"one"))
    with pytest.raises(OSError, match="No space left"):
        extract(tmp_path / "x.zip", tmp_path, limit=100)


def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")
