"""The ``ar`` format, the outer layer of a Debian package (ar(5), deb(5))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gauntlet.core.errors import GauntletError


def members(file: BinaryIO, archive: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each member of an ``ar`` archive (ar(5))."""

    def damaged(problem: str) -> GauntletError:
        return GauntletError(f"damaged archive ({problem})", file=archive, remedy="fetch it again")

    total = file.seek(0, 2)
    file.seek(0)
    if file.read(8) != b"!<arch>\n":
        raise damaged("it is not a Debian package")
    offset = 8
    while offset < total:
        file.seek(offset)
        header = file.read(60)
        digits = header[48:58].strip()
        if len(header) < 60 or header[58:] != b"`\n" or not digits.isdigit():
            raise damaged("a member's header is not valid")
        size = int(digits)
        if offset + 60 + size > total:
            raise damaged("a member is cut short")
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), offset + 60, size
        offset += 60 + size + size % 2


class Part:
    """A read-only window on ``file``: ``size`` bytes from ``offset``."""

    def __init__(self, file: BinaryIO, offset: int, size: int):
        self.file, self.offset, self.size, self.at = file, offset, size, 0
        self.closed = False

    def read(self, count: int = -1) -> bytes:
        left = self.size - self.at
        count = left if count is None or count < 0 else min(count, left)
        self.file.seek(self.offset + self.at)
        chunk = self.file.read(count)
        self.at += len(chunk)
        return chunk

    def seek(self, position: int, whence: int = 0) -> int:
        self.at = max(0, position + (0, self.at, self.size)[whence])
        return self.at

    def tell(self) -> int:
        return self.at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
