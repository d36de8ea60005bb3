"""MATLAB files against scipy, which writes them here and reads them beside us."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from scipy.io import loadmat, savemat

from gauntlet.core.errors import GauntletError
from gauntlet.data.readers.matlab import load

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def mat(variables, **options):
    out = io.BytesIO()
    savemat(out, variables, **options)
    return out.getvalue()


GOOD = mat({"a": np.arange(6.0).reshape(2, 3)})


@settings(max_examples=150, deadline=None)
@given(
    of_numpy.arrays(st.sampled_from(TYPES), of_numpy.array_shapes(min_dims=2, max_dims=4, min_side=0)),
    st.booleans(),
)
def test_numbers_are_those_that_scipy_reads(array, compressed):
    content = mat({"a": np.arange(3), "b": array}, do_compression=compressed)
    found, theirs = load(content, "x.mat", "b"), loadmat(io.BytesIO(content))["b"]
    assert found.dtype == theirs.dtype == array.dtype
    assert found.shape == theirs.shape
    np.testing.assert_array_equal(found, theirs)


WORDS = st.text(st.characters(min_codepoint=1, max_codepoint=0xD7FF), max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WORDS, st.integers(-5, 300)), min_size=1, max_size=4), st.booleans())
def test_structs_and_cells_hold_what_was_saved(rows, compressed):
    records = np.zeros((1, len(rows)), [("name", object), ("number", object)])
    cells = np.empty((1, len(rows)), object)
    for at, (name, number) in enumerate(rows):
        records[0, at], cells[0, at] = (name, number), name
    content = mat({"records": records, "cells": cells}, do_compression=compressed)
    found = load(content, "x.mat", "records")
    assert [value if isinstance(value, str) else "" for value in found["name"]] == [name for name, _ in rows]
    assert [value.item() for value in found["number"]] == [number for _, number in rows]
    texts = load(content, "x.mat", "cells")
    assert [text if isinstance(text, str) else "" for text in texts] == [name for name, _ in rows]


def test_big_endian():
    """Written by hand: scipy writes this machine's order only."""
    flags = struct.pack(">4I", 6, 8, 8 | 0, 0)  # class int8
    shape = struct.pack(">2I2i", 5, 8, 1, 2)
    name = struct.pack(">2H4s", 1, 1, b"a")  # a small element: size, type, data
    values = struct.pack(">2H2b2x", 2, 1, -1, 7)
    array = flags + shape + name + values
    content = b"MATLAB 5.0".ljust(124) + b"\1\0MI" + struct.pack(">2I", 14, len(array)) + array
    assert load(content, "x.mat", "a").tolist() == [[-1, 7]]


@pytest.mark.parametrize("kind", [4, 17])
def test_text_of_sixteen_bits(kind):
    """MATLAB writes it as type 4, of which scipy makes something else; of 17 it makes the same."""
    text = "x\u00e9\u4e2d"
    body = (
        struct.pack("<4I", 6, 8, 4, 0) + struct.pack("<2I2i", 5, 8, 1, 3) + struct.pack("<2H4s", 1, 1, b"a")
    )
    body += struct.pack("<2I", kind, 6) + text.encode("utf-16-le") + b"\0\0"
    content = GOOD[:128] + struct.pack("<2I", 14, len(body)) + body
    assert load(content, "x.mat", "a") == text
    if kind == 17:
        assert loadmat(io.BytesIO(content))["a"].tolist() == [text]


def test_a_variable_that_is_not_there():
    assert load(mat({"b": np.arange(3)}), "x.mat", "a") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header"),
        (b"<html>" * 30, "header"),
        (mat({"a": np.arange(3)}, format="4"), "header"),
        (GOOD[:124] + b"\0\2IM", "header"),
        (GOOD[:160], "cut short"),
        (mat({"a": np.array([1 + 2j])}), "class 6, flags 8"),
        (mat({"a": np.array(["one", "two"])}), "several rows"),
        (mat({"a": {"b": {"c": np.zeros(3)}}})[:-8], "cut short"),
    ],
)
def test_what_is_refused(content, reason):
    with pytest.raises(GauntletError, match=reason) as caught:
        load(content, "x.mat", "a")
    assert caught.value.file == "x.mat"
    assert caught.value.key == "a"


def test_a_deep_nest_is_refused():
    value = np.zeros((1, 1), object)
    for _ in range(20):
        outer = np.empty((1, 1), object)
        outer[0, 0] = value
        value = outer
    with pytest.raises(GauntletError, match="inside of each other"):
        load(mat({"a": value}), "x.mat", "a")


def test_a_bomb_ends_at_the_limit():
    content = mat({"a": np.zeros((2000, 2000), np.uint8)}, do_compression=True)
    assert len(content) < 10_000
    with pytest.raises(GauntletError, match="cut short"):
        load(content, "x.mat", "a", limit=1_000_000)
    assert load(content, "x.mat", "a").nbytes == 4_000_000


def test_an_altered_compressed_variable():
    content = bytearray(mat({"a": np.arange(100)}, do_compression=True))
    content[-10] ^= 255
    with pytest.raises(zlib.error):
        zlib.decompress(bytes(content[136:]))
    with pytest.raises(GauntletError):
        load(bytes(content), "x.mat", "a")
