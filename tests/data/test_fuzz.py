"""Damaged input of any kind: either it is read, or there is one GauntletError; nothing lands outside."""

import gzip
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from handmade import deb, idx, tar
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.data.extract import extract, read_members
from gauntlet.data.readers.idx import read_idx

MEMBERS = [("a", b"one" * 50), ("b/c", b"two" * 50)]
ARCHIVES = {
    "x.tar": tar(*MEMBERS, mode="w"),
    "x.tar.gz": tar(*MEMBERS, mode="w:gz"),
    "x.tar.xz": tar(*MEMBERS),
    "x.gz": gzip.compress(b"one" * 50, mtime=0),
    "x.deb": deb(tar(*MEMBERS)),
}


@st.composite
def damaged(draw, content: bytes):
    """``content`` with some bytes overwritten, and perhaps cut."""
    out = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        out[draw(st.integers(0, len(out) - 1))] = draw(st.integers(0, 255))
    return bytes(out[: draw(st.integers(0, len(out)))]) if draw(st.booleans()) else bytes(out)


@pytest.mark.parametrize("name", ARCHIVES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_archives(name, data):
    with tempfile.TemporaryDirectory() as scratch:
        archive, into = Path(scratch) / name, Path(scratch) / "out"
        archive.write_bytes(data.draw(damaged(ARCHIVES[name])))
        into.mkdir()
        with suppress(GauntletError):  # the only exception allowed
            written = extract(archive, into, limit=20_000)
            assert all(path.resolve().is_relative_to(into.resolve()) for path in written)
        assert {path.name for path in Path(scratch).iterdir()} == {name, "out"}
        assert sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) <= 20_000


@settings(max_examples=200, deadline=None)
@given(content=damaged(idx(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))))
def test_idx(content):
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "x"
        path.write_bytes(content)
        with suppress(GauntletError):  # the only exception allowed
            assert read_idx(path).nbytes <= len(content)


@settings(max_examples=200, deadline=None)
@given(content=damaged(ARCHIVES["x.tar"]))
def test_members_of_archives(content):
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "x.tar"
        path.write_bytes(content)
        with suppress(GauntletError):  # the only exception allowed
            assert sum(map(len, read_members(path, {"a", "c"}, limit=300).values())) <= 300
        assert list(Path(scratch).iterdir()) == [path]
