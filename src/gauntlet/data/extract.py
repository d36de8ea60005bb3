"""One safe way to unpack archives: tar (plain, gz, bz2, xz), zip, wheels and Debian packages.

An archive is untrusted input. Members may not have absolute names or ``..``, may not be devices,
may not appear twice (whatever the case of their names), and together may not exceed a declared size, nor
``MEMBERS_MAX`` in number. No link is ever created: a link to a file that was unpacked before it becomes a
copy, any other link is refused. So no member can be written through a link, and paths can be judged by their
text alone. What the libraries read at once, a header with a long name, say, is bounded too.
"""

from __future__ import annotations

import bz2
import errno
import functools
import gzip
import itertools
import lzma
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from gauntlet.core.errors import GauntletError
from gauntlet.data.ar import Part, members
from gauntlet.data.lmdb_file import records

CHUNK = 1 << 20
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
NAME_MAX = 255  # bytes in one part of a path, on common file systems
MEMBERS_MAX = 1 << 22  # in one archive; ImageNet's training photos are 1.3 million
MEMBER_MAX = 1 << 26  # bytes of one member that `stream_members` holds in memory; a photo has a few MB
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others, zipfile unpacks without a limit
REMEDY = "do not use this archive; get it again from its publisher"


def extract(archive: str | Path, into: str | Path, *, limit: int) -> list[Path]:
    """Unpack an archive, by the kind that its name says, into the folder ``into``.

    Args:
        archive: ``.tar``, ``.tar.gz``, ``.tgz``, ``.tar.bz2``, ``.tar.xz``, ``.zip``, ``.whl``, ``.deb``, or
            a single compressed file ``.gz``.
        into: an existing folder.
        limit: the most bytes that all members together may have, unpacked (for a tar archive, with
            the padding after the last one, usually 10 kB).

    Returns:
        The files that were written.

    Raises:
        GauntletError: a hostile or damaged archive; names the archive and the member.
    """
    archive = Path(archive)
    target = _Target(archive, Path(into).resolve(), limit)
    name = archive.name
    if not archive.stat().st_size:
        raise GauntletError("damaged archive (it is empty)", file=archive, remedy="fetch it again")
    with _damage(archive):
        if name.endswith(".deb"):
            _deb(archive, target)
        elif name.endswith((".zip", ".whl")):
            _zip(archive, target)
        elif name.endswith(TARS):
            with open(archive, "rb") as file, _opened(file, archive, limit) as tar:
                _tar(tar, target)
        elif name.endswith(".gz"):
            with gzip.open(archive) as source:
                target.write(archive.stem, source)
        else:
            raise GauntletError("not an archive of a known kind", file=archive, remedy="tar, zip, deb or gz")
    return target.written


def read_members(archive: str | Path, names: Collection[str], *, limit: int) -> dict[str, bytes]:
    """The content of some files of a tar archive, in memory; of the rest nothing is kept or written.

    Args:
        names: the files, without their folders. Reading ends with the last of them.
        limit: the most bytes that they may have together.

    Raises:
        GauntletError: a damaged archive; one of the files is missing, appears twice, is a link or a
            special file, or exceeds ``limit``.
    """
    archive = Path(archive)
    found: dict[str, bytes] = {}

    def refuse(name: str, problem: str) -> GauntletError:
        return GauntletError(f"refused: {problem}", file=archive, key=name, remedy=REMEDY)

    with _damage(archive), open(archive, "rb") as file, _opened(file, archive, limit) as tar:
        for member in _sound(tar, archive):
            name = PurePosixPath(member.name).name
            if name not in names:
                continue
            if name in found:
                raise refuse(name, "it appears twice")
            if not member.isreg():
                raise refuse(name, "it is not a regular file")
            limit -= member.size
            if limit < 0:
                raise refuse(name, "it is larger than this dataset can be")
            found[name] = tar.extractfile(member).read()
            if len(found) == len(names):
                return found
    missing = sorted(set(names) - set(found))
    raise GauntletError(f"it has no {', '.join(missing)}", file=archive, remedy=REMEDY)


def stream_members(
    archive: str | Path, names: Collection[str], *, limit: int, member_limit: int = MEMBER_MAX
) -> Iterator[tuple[str, bytes]]:
    """The files ``names`` of an archive one by one, in the archive's order; nothing is written.

    Reading ends with the last of them, so that at any time one of them is in memory.

    Args:
        archive: tar, zip, or a database ``.mdb``, whose files are its keys. A tar archive inside of another
            is a folder of its name, such as ``n01440764.tar``.
        names: their paths. The archive may have them inside of further folders.
        limit: the most bytes that the members may have together, wanted or not.
        member_limit: the most bytes that one of ``names`` may have.

    Yields:
        Name, as in ``names``, and content.

    Raises:
        GauntletError: a hostile or damaged archive; a file is missing, appears twice, is a link or
            a special file, is encrypted, or has more than ``member_limit`` bytes.
    """
    archive = Path(archive)
    names = frozenset(names)
    found: set[str] = set()

    def refuse(member: str, problem: str) -> GauntletError:
        return GauntletError(f"refused: {problem}", file=archive, key=member, remedy=REMEDY)

    with _damage(archive):
        for member in _members(archive, limit):
            if problem := unsafe(member.name):
                raise refuse(member.name, problem)
            limit -= member.size
            if limit < 0:
                raise refuse(member.name, "the archive unpacks to more bytes than this dataset can have")
            if (name := _end(member.name, names)) is None:
                continue
            if name in found:
                raise refuse(member.name, "it appears twice")
            if not member.regular:
                raise refuse(member.name, "it is not a regular file")
            if member.encrypted:
                raise GauntletError(
                    "it is encrypted; unpack it with the publisher's password, and pack it again without one",
                    file=archive,
                    key=member.name,
                    remedy="zip -0 -r NEW.zip FOLDER",
                )
            if member.size > member_limit:
                raise refuse(member.name, f"it has {member.size} bytes")
            found.add(name)
            yield name, member.read()
            if len(found) == len(names):
                return
    missing = sorted(names - found)
    raise GauntletError(
        f"it has no {missing[0]}" + (f", nor {len(missing) - 1} other files" if missing[1:] else ""),
        file=archive,
        remedy=REMEDY,
    )


def member_names(archive: str | Path) -> list[str]:
    """Paths of the files in an archive, as ``stream_members`` has them. Raises GauntletError for damage."""
    archive = Path(archive)
    with _damage(archive):
        return [member.name for member in _members(archive, MEMBER_MAX)]


def _end(member: str, names: frozenset[str]) -> str | None:
    """The name that the path ``member`` is, or ends with; the longest."""
    parts = PurePosixPath(member).parts
    for first in range(len(parts)):
        if (name := "/".join(parts[first:])) in names:
            return name
    return None


@dataclass(frozen=True)
class _Member:
    """A member of an archive that is not a folder. ``read`` gives its ``size`` bytes."""

    name: str
    size: int
    regular: bool
    read: Callable[[], bytes]
    encrypted: bool = False


def _members(archive: Path, limit: int) -> Iterator[_Member]:
    """Every member but folders, as they lie in the archive."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for info in _listed(zipped, archive):
                if not info.is_dir():
                    regular = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
                    content = functools.partial(_whole, zipped, info)
                    yield _Member(info.filename, info.file_size, regular, content, bool(info.flag_bits & 1))
    elif archive.name.endswith(".mdb"):
        for key, value in records(archive):
            yield _Member(key, len(value), True, functools.partial(bytes, value))
    else:
        with open(archive, "rb") as file, _opened(file, archive, limit) as tar:
            yield from _tar_members(tar, archive, limit, itertools.count())


def _tar_members(
    tar: tarfile.TarFile, archive: Path, limit: int, number: Iterator[int], folder: str = ""
) -> Iterator[_Member]:
    for info in _sound(tar, archive, number):
        if info.isdir():
            continue
        if info.isreg() and info.name.endswith(".tar") and not folder:
            with _opened(tar.extractfile(info), archive, limit) as inner:
                yield from _tar_members(inner, archive, limit, number, f"{info.name}/")
        else:
            name, regular = folder + info.name, info.isreg()
            yield _Member(name, info.size, regular, lambda info=info: tar.extractfile(info).read())


def _whole(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's content. ``ZipFile.read`` would unpack all of it, however much more than is declared."""
    with zipped.open(info) as source:
        return source.read(info.file_size)


def _listed(zipped: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    """The members in the order in which they lie in the archive. Raises GauntletError for a hostile list."""
    found = sorted(zipped.infolist(), key=lambda info: info.header_offset)
    if len(found) > MEMBERS_MAX:
        raise _too_many(archive)
    end = found[0].header_offset if found else 0
    for info in found:
        if info.header_offset < end:
            raise GauntletError(
                "refused: it overlaps another member", file=archive, key=info.filename, remedy=REMEDY
            )
        end = info.header_offset + zipfile.sizeFileHeader + info.compress_size
        if info.compress_type not in METHODS:
            raise GauntletError(
                "refused: its compression is not that of a dataset's zip",
                file=archive,
                key=info.filename,
                remedy=REMEDY,
            )
    return found


@contextmanager
def _opened(file: BinaryIO, archive: Path, limit: int) -> Iterator[tarfile.TarFile]:
    """The tar archive in ``file``, whatever its compression, of which no header is longer than ``limit``."""
    magic = file.read(6)
    file.seek(0)
    openers = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
    opener = next((opener for start, opener in openers.items() if magic.startswith(start)), None)
    with (
        opener(file) if opener else nullcontext(file) as plain,
        tarfile.open(fileobj=_Bounded(plain, archive, max(limit, CHUNK)), mode="r:") as tar,
    ):
        yield tar


@dataclass
class _Bounded:
    """A file of which tarfile can read no more than ``limit`` bytes at once, padded to a whole block.

    It reads a long name whole, whose size the archive may give as anything, below 0 (all that follows) too.
    """

    file: BinaryIO
    archive: Path
    limit: int

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.limit + tarfile.BLOCKSIZE:
            raise GauntletError("refused: a header of absurd size", file=self.archive, remedy=REMEDY)
        return self.file.read(size)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


def _sound(
    tar: tarfile.TarFile, archive: Path, number: Iterator[int] | None = None
) -> Iterator[tarfile.TarInfo]:
    """The members. Raises GauntletError where there is no end of them, or one has a size below 0.

    Args:
        number: counts them, together with those of other tar archives in the same one.
    """
    number = number or itertools.count()
    for member in tar:
        if next(number) >= MEMBERS_MAX:
            raise _too_many(archive)
        if member.size < 0:  # the next one would be this one again
            raise GauntletError(
                f"refused: its size is {member.size}", file=archive, key=member.name, remedy=REMEDY
            )
        yield member


def _too_many(archive: Path) -> GauntletError:
    return GauntletError(f"refused: it has more than {MEMBERS_MAX:,} members", file=archive, remedy=REMEDY)


def unsafe(member: str) -> str | None:
    """What is wrong with a member's name as a path inside of a folder, or None."""
    pure = PurePosixPath(member)
    if "\0" in member or "\\" in member or member[1:2] == ":" or pure.is_absolute():
        return "its name is not a relative path"
    if ".." in pure.parts:
        return "its name leads out of the folder"
    if not member.isascii() and "\udc80" <= max(member) <= "\udcff":
        return "its name is not UTF-8"
    if any(len(os.fsencode(part)) > NAME_MAX for part in pure.parts):
        return "its name is too long"
    return None


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise GauntletError(f"damaged archive ({error})", file=archive, remedy="fetch it again") from error
    except (EOFError, NotImplementedError, RuntimeError) as error:  # cut short; unknown or encrypted zip
        raise GauntletError(f"cannot unpack it ({error})", file=archive, remedy="fetch it again") from error
    except (IndexError, ValueError, OverflowError, struct.error) as error:  # numbers and names that are none
        raise GauntletError(f"damaged archive ({error})", file=archive, remedy="fetch it again") from error
    except OSError as error:  # a zip's index, with a member before the file's beginning
        if error.errno not in (None, errno.EINVAL):  # a full disk, say
            raise
        raise GauntletError(f"damaged archive ({error})", file=archive, remedy="fetch it again") from error


@dataclass
class _Target:
    """The folder that an archive is unpacked into, and the bytes that are left to it."""

    archive: Path
    root: Path
    left: int
    written: list[Path] = field(default_factory=list)
    names: set[str] = field(default_factory=set)  # without their case, which some file systems do not keep

    def refuse(self, member: str, problem: str) -> GauntletError:
        return GauntletError(f"refused: {problem}", file=self.archive, key=member, remedy=REMEDY)

    def path(self, member: str) -> Path:
        """Where ``member`` goes. Raises GauntletError when that is outside the folder."""
        if problem := unsafe(member):
            raise self.refuse(member, problem)
        return self.root / PurePosixPath(member)

    def spend(self, count: int, member: str) -> None:
        self.left -= count
        if self.left < 0:
            raise self.refuse(member, "the archive unpacks to more bytes than declared")

    def folder(self, member: str) -> None:
        self._make(self.path(member), member)

    def _make(self, folder: Path, member: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise self.refuse(member, "it is inside of another member that is a file") from None

    def write(self, member: str, source: BinaryIO) -> None:
        path = self.path(member)
        self._make(path.parent, member)
        name = unicodedata.normalize("NFC", str(path)).casefold()
        if name in self.names or path.exists():
            raise self.refuse(member, "it appears twice")
        self.names.add(name)
        with open(path, "xb") as out:
            while chunk := source.read(min(CHUNK, self.left + 1)):
                self.spend(len(chunk), member)
                out.write(chunk)
        self.written.append(path)

    def copy(self, member: str, linked: str) -> None:
        """``member`` is a link to ``linked``, a name inside the archive."""
        source = self.root / linked
        if source not in self.written:
            raise self.refuse(member, f"it is a link to {linked!r}, which was not unpacked before it")
        with open(source, "rb") as file:
            self.write(member, file)


def _tar(tar: tarfile.TarFile, target: _Target) -> None:
    for member in _sound(tar, target.archive):
        if member.isdir():
            target.folder(member.name)
        elif member.isreg():
            target.write(member.name, tar.extractfile(member))
        elif member.islnk():
            target.copy(member.name, str(PurePosixPath(member.linkname)))
        elif member.issym():
            if PurePosixPath(member.linkname).is_absolute():
                raise target.refuse(member.name, "it is a link out of the folder")
            target.copy(member.name, _resolve(target, member.name, member.linkname))
        else:
            raise target.refuse(member.name, "it is a device or another special file")
    while padding := tar.fileobj.read(CHUNK):  # to the end, where the compressed stream has its checksum
        target.spend(len(padding), "the end of the archive")


def _resolve(target: _Target, member: str, linkname: str) -> str:
    """The name inside the archive that a relative symbolic link leads to."""
    parts: list[str] = []
    for part in (*PurePosixPath(member).parent.parts, *PurePosixPath(linkname).parts):
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise target.refuse(member, "it is a link out of the folder")
    return "/".join(parts)


def _zip(archive: Path, target: _Target) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for member in _listed(zipped, target.archive):
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                target.folder(member.filename)
            elif kind in (0, stat.S_IFREG):
                with zipped.open(member) as source:
                    target.write(member.filename, source)
            else:
                raise target.refuse(member.filename, "it is a link or a special file")


def _deb(archive: Path, target: _Target) -> None:
    """A Debian package: an ``ar`` archive whose member ``data.tar.*`` holds the files (deb(5))."""
    with open(archive, "rb") as file:
        for name, offset, size in members(file, archive):
            if name.startswith("data.tar"):
                part = Part(file, offset, size)
                if name.endswith(".zst"):
                    import pyarrow as pa

                    stream = pa.CompressedInputStream(pa.PythonFile(part, mode="r"), "zstd")
                    opened = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115
                else:
                    opened = _opened(part, archive, target.left)
                with opened as tar:
                    _tar(tar, target)
                return
    raise GauntletError(
        "damaged archive (it has no data.tar, as a Debian package has)", file=archive, remedy="fetch it again"
    )
