"""Archives and files that are made to do harm: refused with one message, nothing run, nothing outside."""

import ast
import bz2
import gzip
import io
import pickle
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from handmade import facts, photo, photo_entry, tar, ten_classes, totals, zipped

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import PACKAGE
from gauntlet.data import extract as extract_module
from gauntlet.data import fetch
from gauntlet.data.extract import extract, member_names, read_members, stream_members
from gauntlet.data.readers import cifar, cifar100, mosaics, omniglot
from gauntlet.data.readers.idx import read_idx

EVERY_WAY = {
    "extract": lambda path, limit: extract(path, path.with_name("out"), limit=limit),
    "read": lambda path, limit: read_members(path, ["z"], limit=limit),
    "stream": lambda path, limit: list(stream_members(path, ["z"], limit=limit)),
    "names": lambda path, limit: member_names(path),
}
WAYS = pytest.mark.parametrize("way", EVERY_WAY)
OF_ZIPS = pytest.mark.parametrize("way", sorted(EVERY_WAY.keys() - {"read"}))


def attempt(tmp_path, way, name, content, limit=10_000):
    """Write the archive, and read it one way; nothing may lie beside it and its folder afterwards."""
    (tmp_path / name).write_bytes(content)
    (tmp_path / "out").mkdir()
    try:
        return EVERY_WAY[way](tmp_path / name, limit)
    finally:
        assert {path.name for path in tmp_path.iterdir()} == {name, "out"}


@WAYS
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_more_members_than_any_dataset(tmp_path, monkeypatch, way, kind):
    monkeypatch.setattr(extract_module, "MEMBERS_MAX", 50)
    mode = "w:" + kind.removeprefix("tar").removeprefix(".")
    content = tar(*((f"d/{number}", b"") for number in range(60)), mode=mode)
    with pytest.raises(GauntletError, match="more than 50 members"):
        attempt(tmp_path, way, f"x.{kind}", content)
    assert len(list((tmp_path / "out").rglob("*"))) <= 51


@pytest.mark.parametrize("way", ["stream", "names"])
def test_members_of_archives_in_an_archive_count_together(tmp_path, monkeypatch, way):
    monkeypatch.setattr(extract_module, "MEMBERS_MAX", 50)
    inner = tar(*((f"{number}", b"") for number in range(20)), mode="w")
    content = tar(*((f"{number}.tar", inner) for number in range(3)), mode="w")
    with pytest.raises(GauntletError, match="more than 50 members"):
        attempt(tmp_path, way, "x.tar", content, limit=100_000)


@OF_ZIPS
def test_more_members_in_a_zip_than_any_dataset(tmp_path, monkeypatch, way):
    monkeypatch.setattr(extract_module, "MEMBERS_MAX", 50)
    content = zipped(*((f"d/{number}", b"") for number in range(60)))
    with pytest.raises(GauntletError, match="more than 50 members"):
        attempt(tmp_path, way, "x.zip", content)
    assert not list((tmp_path / "out").iterdir())


def with_field(content: bytes, at: int, value: bytes) -> bytes:
    """A tar archive whose first header has another field, and the checksum that it needs then (ustar)."""
    header = bytearray(content[:512])
    header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content[512:]


SIZE, TYPE = 124, 156  # where the fields of a header are
MINUS_512 = b"\xff" * 10 + b"\xfe\x00"  # base 256, two's complement


@WAYS
def test_a_member_of_negative_size(tmp_path, way):
    """After it tarfile would read the same header again, for ever."""
    content = with_field(tar(("a", b"x" * 100), ("z", b"x"), mode="w"), SIZE, MINUS_512)
    with pytest.raises(GauntletError, match=r"its size is -\d+|damaged"):
        attempt(tmp_path, way, "x.tar", content)


@WAYS
@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE], ids=["long name", "pax"])
@pytest.mark.parametrize("size", [b"77777777777\0", MINUS_512], ids=["8 GB", "negative"])
def test_a_header_that_would_fill_the_memory(tmp_path, way, kind, size):
    bomb = tar(("a", bytes(8_000_000)), mode="w")
    content = with_field(with_field(bomb, TYPE, kind), SIZE, size)
    with pytest.raises(GauntletError, match="absurd size"):
        attempt(tmp_path, way, "x.tar.gz", gzip.compress(content, mtime=0))


@WAYS
def test_a_name_that_is_not_utf8(tmp_path, way):
    info = tarfile.TarInfo("bad\udcff")
    content = tar((info, b"x"), ("z", b"x"), mode="w")
    assert b"bad\xff" in content
    if way in ("read", "names"):  # they make no path of it
        assert attempt(tmp_path, way, "x.tar", content)
    else:
        with pytest.raises(GauntletError, match="not UTF-8") as caught:
            attempt(tmp_path, way, "x.tar", content)
        str(caught.value).encode(errors="backslashreplace")


@pytest.mark.parametrize("pair", [("a/B", "a/b"), ("Stra\xdfe", "STRASSE"), ("\xe9", "e\u0301")])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_some_file_systems_take_for_one(tmp_path, kind, pair):
    members = [(name, name.encode()) for name in pair]
    content = tar(*members, mode="w") if kind == "tar" else zipped(*members)
    with pytest.raises(GauntletError, match="appears twice") as caught:
        attempt(tmp_path, "extract", f"x.{kind}", content)
    assert caught.value.key == pair[1]


def entry(name: bytes, offset: int, size: int, method: int = 0, crc: int = 0, unpacked: int = -1) -> bytes:
    """One entry of a zip's central directory (APPNOTE 4.3.12)."""
    unpacked = size if unpacked < 0 else unpacked
    mode = (stat.S_IFREG | 0o644) << 16
    fields = (b"PK\1\2", 20, 20, 0, method, 0, 0, crc, size, unpacked, len(name), 0, 0, 0, 0, mode, offset)
    return struct.pack("<4s6H3L5H2L", *fields) + name


def local(name: bytes, content: bytes, method: int = 0, crc: int = 0, unpacked: int = -1) -> bytes:
    """A member with its header (APPNOTE 4.3.7)."""
    unpacked = len(content) if unpacked < 0 else unpacked
    fields = (b"PK\3\4", 20, 0, method, 0, 0, crc, len(content), unpacked, len(name), 0)
    return struct.pack("<4s5H3L2H", *fields) + name + content


def end(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


@OF_ZIPS
def test_members_that_overlap(tmp_path, way):
    """A kernel that many entries share, as in the densest bombs."""
    kernel = bytes(1000)
    one = local(b"a", kernel, crc=zlib.crc32(kernel))
    index = b"".join(entry(name, 0, 1000, crc=zlib.crc32(kernel)) for name in (b"a", b"z"))
    content = one + index + end(2, len(index), len(one))
    assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 2
    with pytest.raises(GauntletError, match="overlaps another member"):
        attempt(tmp_path, way, "x.zip", content)


@OF_ZIPS
def test_a_zip_compressed_by_what_unpacks_without_a_limit(tmp_path, way):
    bomb = bz2.compress(bytes(5_000_000))
    assert len(bomb) < 100
    made = {"method": 12, "crc": zlib.crc32(b"x"), "unpacked": 1}
    one = local(b"z", bomb, **made)
    index = entry(b"z", 0, len(bomb), **made)
    with pytest.raises(GauntletError, match="its compression"):
        attempt(tmp_path, way, "x.zip", one + index + end(1, len(index), len(one)))


def test_a_member_that_unpacks_to_more_than_it_declares(tmp_path):
    """Memory stays at what is declared; zipfile's own read would unpack all of it."""
    import tracemalloc

    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(bytes(40_000_000)) + squeezer.flush()
    made = {"method": 8, "crc": zlib.crc32(bytes(100)), "unpacked": 100}
    one = local(b"z", bomb, **made)
    index = entry(b"z", 0, len(bomb), **made)
    tracemalloc.start()
    try:
        ((_, content),) = attempt(tmp_path, "stream", "x.zip", one + index + end(1, len(index), len(one)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content == bytes(100)
    assert peak < 5_000_000


class Payload:
    """Unpickled, it makes the file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_the_payload_would_work(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "made")))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("reader", "names"),
    [
        (cifar.read, [name for names in cifar.BATCHES.values() for name in names]),
        (cifar.read, ["data_batch_1", "data_batch_2", "test_batch", "batches.meta"]),
        (cifar100.read, ["fine_label_names.txt", "train.bin", "test.bin"]),
        (cifar100.read, ["meta", "train", "test"]),
    ],
)
def test_pickled_batches_are_not_unpickled(tmp_path, reader, names):
    """Under the names of the binary version, or their own."""
    made = tmp_path / "made"
    content = pickle.dumps({b"data": Payload(made), b"labels": [0]})
    archive = tmp_path / "cifar.tar.gz"
    archive.write_bytes(tar(*((f"cifar/{name}", content) for name in names), mode="w:gz"))
    entry = ten_classes(reader="cifar", shape=[3, 32, 32], **COUNTS)
    with pytest.raises(GauntletError, match=r"are not whole records|it has no |its names are not") as caught:
        reader({"archive": archive}, entry)
    assert caught.value.file == archive
    assert not made.exists()


COUNTS = {"counts": {"train": 5, "test": 1}, "files": {"archive": {"name": "a", **facts(b"x")}}}


def test_pickled_arrays_are_not_unpickled(tmp_path, monkeypatch):
    """In place of a prepared set's: its hash is wrong. In place of a store's: that copy is passed over."""
    from gauntlet.data import load

    monkeypatch.chdir(tmp_path)
    folder = fetch.prepare("digits")
    np.save(folder / "train_labels.npy", np.array([Payload(tmp_path / "made")], object), allow_pickle=True)
    with pytest.raises(GauntletError, match=r"train_labels\.npy"):
        load("digits")
    monkeypatch.setenv("GAUNTLET_DATA", str(folder.parent))
    fetch.prepare("digits", tmp_path / "work" / "digits")
    assert not (tmp_path / "made").exists()


def test_no_module_unpickles_freely():
    """Whoever reads a pickle here does so by torch's restricted reader."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            where = f"{path.name}:{node.lineno}: {called}"
            assert called not in ("pickle.load", "pickle.loads", "joblib.load", "pd.read_pickle"), where
            assert called != "torch.load" or given.get("weights_only") == "True", where
            assert given.get("allow_pickle", "False") == "False", where
            if called == "np.load":
                assert given.get("allow_pickle") == "False", where


def png(width: int, height: int) -> bytes:
    """A PNG whose header says so (PNG, 5.6 and 11.2.2); its data are a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg(width: int, height: int) -> bytes:
    """A JPEG with another size in its frame header (ITU T.81, B.2.2)."""
    content = bytearray(photo(0))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize("bomb", [png(60_000, 60_000), jpeg(60_000, 60_000)], ids=["png", "jpeg"])
def test_an_image_bomb_among_photos(tmp_path, bomb):
    from gauntlet.data.packed import Album, Listed, write

    (tmp_path / "x.zip").write_bytes(zipped(("a.jpg", photo(1)), ("b.jpg", bomb)))
    listed = [Listed(tmp_path / "x.zip", "a.jpg", 0), Listed(tmp_path / "x.zip", "b.jpg", 1)]
    album = Album(["one", "two"], {"train": listed[:1], "test": listed[1:]})
    entry = photo_entry(reader="cub", counts=totals(train=(1, 1), test=(1, 1)), **FILES)
    with pytest.raises(GauntletError, match="DecompressionBombError") as caught:
        write(album, entry, tmp_path / "out")
    assert caught.value.key == "b.jpg"


FILES = {"files": {"archive": {"name": "x.zip", **facts(b"x")}}}


def test_an_image_bomb_in_the_other_readers_of_images(tmp_path):
    (tmp_path / "role").mkdir()
    path = tmp_path / "role" / "x.png"
    path.write_bytes(png(60_000, 60_000))
    with pytest.raises(GauntletError, match=r"not a PNG of 105 x 105 \(Image size \(3600000000 pixels\)"):
        omniglot._drawing(path, omniglot._shares(28), {"role": path}, tmp_path)
    webp = tmp_path / "x.webp"  # the format ends at 16383 x 16383, 268 million pixels
    head = (b"\x2f" + struct.pack("<I", 16382 | 16382 << 14)).ljust(100, b"\0")
    webp.write_bytes(b"RIFF" + struct.pack("<I", 112) + b"WEBPVP8L" + struct.pack("<I", 100) + head)
    with pytest.raises(GauntletError, match="cannot read it"):
        mosaics._tiles(webp, 3, 8, 8)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1),
        struct.pack(">BBBB", 0, 0, 14, 255) + struct.pack(">255I", *[2**32 - 1] * 255),
        struct.pack(">BBBB", 0, 0, 8, 255) + struct.pack(">255I", *[1] * 255) + b"x",
        struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 2**32 - 1),
        struct.pack(">BBBB", 0, 0, 8, 40) + struct.pack(">40I", 0, *[2**32 - 1] * 39),
    ],
    ids=["huge", "huge in 255 dimensions", "255 dimensions", "nothing of a huge width", "nothing in 40"],
)
def test_idx_of_absurd_dimensions(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(GauntletError, match="not a valid IDX file"):
        read_idx(tmp_path / "x")
