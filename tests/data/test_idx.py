import struct

import numpy as np
import pytest
from handmade import idx

from gauntlet.core.errors import GauntletError
from gauntlet.data.readers.idx import read_idx


def test_reads_what_the_format_says(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255]))
    array = read_idx(path)
    assert array.dtype == np.uint8
    assert array.tolist() == [[1, 2, 3], [4, 5, 255]]


def test_wide_types_are_big_endian(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(struct.pack(">BBBBI2i", 0, 0, 0x0C, 1, 2, -5, 70000))
    array = read_idx(path)
    assert array.dtype == np.dtype("int32")
    assert array.tolist() == [-5, 70000]


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "magic"),
        (b"<html>not found</html>", "magic"),
        (GOOD[:3], "magic"),
        (bytes([0, 0, 7, 1]) + GOOD[4:], "magic"),
        (bytes([0, 0, 8, 0]), "magic"),
        (GOOD[:10], "header is cut short"),
        (GOOD[:-1], "needs 40 bytes, the file has 39"),
        (GOOD + b"x", "needs 40 bytes, the file has 41"),
    ],
)
def test_refuses_what_is_not_whole(tmp_path, content, reason):
    path = tmp_path / "bad-idx"
    path.write_bytes(content)
    with pytest.raises(GauntletError, match=reason) as caught:
        read_idx(path)
    assert "bad-idx" in str(caught.value)


def test_absurd_dimensions_are_refused_before_anything_is_allocated(tmp_path):
    # 2**32 - 1 in each of four dimensions: about 10**38 bytes, and zero modulo nothing convenient.
    path = tmp_path / "a"
    path.write_bytes(struct.pack(">BBBB4I", 0, 0, 8, 4, *[2**32 - 1] * 4) + b"x")
    with pytest.raises(GauntletError, match="needs"):
        read_idx(path)
    # dimensions whose product is 2**64, zero in 64-bit arithmetic
    path.write_bytes(struct.pack(">BBBB4I", 0, 0, 8, 4, *[2**16] * 4))
    with pytest.raises(GauntletError, match="needs"):
        read_idx(path)
