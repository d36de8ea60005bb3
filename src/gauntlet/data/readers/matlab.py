"""MATLAB's format 5, the part that publishers' labels need: numbers, text, cells and structs.

From MathWorks, "MAT-File Level 5 File Format". scipy's reader of it is compiled code that a damaged file can
crash, so it is the reference of the tests alone.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError

#: Data types of elements -> NumPy's.
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
INT32, UINT32, MATRIX, COMPRESSED = 5, 6, 14, 15
#: How text is encoded, by its data type; 16-bit in the file's byte order.
TEXT = {1: "ascii", 2: "utf-8", 16: "utf-8", 4: "utf-16", 17: "utf-16"}
#: Classes of arrays of numbers -> NumPy's type.
CLASSES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
CELL, STRUCT, CHAR = 1, 2, 4
COMPLEX = 0x0800
FIELD_MAX = 64  # bytes of a field's name
NESTED = 8  # cells and structs inside of each other
TAG = 8  # bytes of an element's type and size
HEAD = 4096  # bytes that suffice for an array's header
LIMIT = 1 << 26  # bytes of one array

#: Numbers (in the array's shape), a text, a cell's values, or a struct's: field -> values. Values go down the
#: columns, as in the file.
Value = np.ndarray | str | list["Value"] | dict[str, list["Value"]]


class _Malformed(Exception):
    """What is wrong with the file."""


def load(content: bytes, file: Path, name: str, *, limit: int = LIMIT) -> Value | None:
    """The variable ``name`` of a .mat file, None when there is none; nothing else is decoded.

    Args:
        content: of the .mat file, which is ``file`` or in the archive ``file``.
        limit: the most bytes that the variable may have, unpacked.

    Raises:
        GauntletError: damaged, not of format 5, or a variable of another kind (complex, sparse, an object, a
            function, text of several rows).
    """
    try:
        return _find(content, name, limit)
    except (_Malformed, UnicodeDecodeError, zlib.error) as error:
        raise GauntletError(
            f"not a MATLAB file of format 5 that can be read ({error})",
            file=file,
            key=name,
            remedy="fetch the file again",
        ) from error


def _find(content: bytes, name: str, limit: int) -> Value | None:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or content[124:126] != {"<": b"\0\1", ">": b"\1\0"}[order]:
        raise _Malformed("its header is not that of format 5")
    reader = _Reader(memoryview(content), order, 128)
    while not reader.ended:
        kind, data = reader.element()
        if kind == COMPRESSED:
            head = _unpacked(data, order, HEAD)
            head.at = TAG  # that of the array, whose data goes on
            if _name(head) != name:
                continue
            kind, data = _unpacked(data, order, limit).element()
        if kind != MATRIX:
            raise _Malformed("a variable is no array")
        if _name(_Reader(data, order)) == name:
            return _value(_Reader(data, order), 0)
    return None


def _unpacked(data: memoryview, order: str, limit: int) -> _Reader:
    """The first ``limit`` bytes of a compressed element, and its tag."""
    source = zlib.decompressobj()
    content = source.decompress(data, TAG + limit)
    if not source.eof and len(content) < TAG + limit:
        raise _Malformed("it is cut short")
    return _Reader(memoryview(content), order)


@dataclass
class _Reader:
    """Elements one after the other: a tag with type and size, the data, and padding to 8 bytes."""

    data: memoryview
    order: str
    at: int = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.data)

    def element(self) -> tuple[int, memoryview]:
        """Type and data of the next element."""
        word = self._number()
        if word >> 16:  # small: type and size in one word, the data in the next
            kind, size, start, room = word & 0xFFFF, word >> 16, self.at, 4
            if size > 4:
                raise _Malformed("a small element is not small")
        else:
            kind, size = word, self._number()
            start, room = self.at, size if word == COMPRESSED else size + -size % 8
        if start + size > len(self.data):
            raise _Malformed("it is cut short")
        self.at = start + room
        return kind, self.data[start : start + size]

    def numbers(self, only: int | None = None) -> np.ndarray:
        """The next element, as numbers (n,); of one type only, where the format says so."""
        kind, data = self.element()
        if kind not in NUMBERS or kind != (only or kind):
            raise _Malformed(f"numbers of type {kind}")
        dtype = np.dtype(self.order + NUMBERS[kind])
        if len(data) % dtype.itemsize:
            raise _Malformed("half a number")
        return np.frombuffer(data, dtype)

    def _number(self) -> int:
        word = self.data[self.at : self.at + 4]
        self.at += 4
        if len(word) < 4:
            raise _Malformed("it is cut short")
        return int.from_bytes(word, "little" if self.order == "<" else "big")


def _head(reader: _Reader) -> tuple[int, tuple[int, ...], str]:
    """Class and flags, shape, and name of an array; its content follows."""
    flags, shape = reader.numbers(UINT32), reader.numbers(INT32)
    _, name = reader.element()
    if len(flags) != 2 or not 1 < len(shape) <= 32 or (shape < 0).any():
        raise _Malformed("an array's header is not valid")
    return int(flags[0]), tuple(shape.tolist()), bytes(name).decode("ascii")


def _name(reader: _Reader) -> str:
    return "" if reader.ended else _head(reader)[2]


def _value(reader: _Reader, depth: int) -> Value:
    if reader.ended:  # an empty array may have no data at all
        return np.zeros((0, 0))
    if depth > NESTED:
        raise _Malformed(f"more than {NESTED} cells or structs inside of each other")
    flags, shape, _ = _head(reader)
    kind, count = flags & 0xFF, math.prod(shape)
    if kind in CLASSES and not flags & COMPLEX:
        values = reader.numbers()
        if len(values) != count:
            raise _Malformed(f"{len(values)} numbers in an array of {count}")
        return values.astype(CLASSES[kind], copy=False).reshape(shape, order="F")
    if kind == CHAR:
        return _text(reader, shape)
    if kind == CELL:
        return [_value(inner, depth + 1) for inner in _arrays(reader, count)]
    if kind == STRUCT:
        widths, (_, names) = reader.numbers(INT32).tolist(), reader.element()
        width = widths[0] if len(widths) == 1 else 0
        if not 0 < width <= FIELD_MAX or len(names) % width:
            raise _Malformed("the names of a struct's fields are not valid")
        fields = [
            bytes(names[at : at + width]).split(b"\0")[0].decode() for at in range(0, len(names), width)
        ]
        values = [_value(inner, depth + 1) for inner in _arrays(reader, count * len(fields))]
        return {field: values[at :: len(fields)] for at, field in enumerate(fields)}
    raise _Malformed(f"an array of class {kind}, flags {flags >> 8}")


def _arrays(reader: _Reader, count: int) -> Iterator[_Reader]:
    """The arrays in a cell or a struct."""
    for _ in range(count):
        kind, data = reader.element()
        if kind != MATRIX:
            raise _Malformed("a cell or a field is no array")
        yield _Reader(data, reader.order)


def _text(reader: _Reader, shape: tuple[int, ...]) -> str:
    if math.prod(shape) == 0:
        return ""
    if len(shape) != 2 or shape[0] != 1:
        raise _Malformed("text of several rows")
    kind, data = reader.element()
    if kind not in TEXT:
        raise _Malformed(f"text of type {kind}")
    encoding = TEXT[kind]
    if encoding == "utf-16":
        encoding += "-le" if reader.order == "<" else "-be"
    return bytes(data).decode(encoding)
