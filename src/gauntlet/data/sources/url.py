"""Published files over HTTP: size and hash are checked before anything is unpacked."""

from __future__ import annotations

from pathlib import Path

from gauntlet.core import disk
from gauntlet.core.transfer import Failed, Wanted
from gauntlet.core.transfer.partial import Partial
from gauntlet.data import sizes
from gauntlet.data.extract import TARS, extract
from gauntlet.data.raw import locate
from gauntlet.data.registry import Common, File, Url
from gauntlet.data.sources import Found, Unavailable


def obtain(source: Url, entry: Common, scratch: Path, kept: Path) -> Found:
    """Download every file from the first base that serves it intact, and unpack it.

    Args:
        kept: a folder that outlives a failure, for what was downloaded. Only one process may work there.
    """
    from gauntlet.core.transfer.download import download  # late: most sets are there already

    read = {file.name for file in entry.files.values()}  # by the reader, as it is
    unpacked = sum(file.size or 0 for file in entry.files.values() if file.name not in source.files)
    later = unpacked + (sizes.prepared_bytes(entry) or 0)
    left = sum(expected.size or 0 for expected in source.files.values())
    bases, served = list(source.bases), {}
    for name, expected in source.files.items():
        left -= expected.size or 0
        names = [name, expected.alias] if expected.alias else [name]
        addresses = {base + called: base for base in bases for called in names}
        try:
            got = download(addresses, wanted(name, expected), kept, later=left + later)
        except Failed as error:
            raise Unavailable(str(error)) from error
        if got.url:
            base = addresses[got.url]
            served[base.split("/")[2]] = None
            bases.sort(key=lambda other, base=base: other != base)  # a dead mirror is not asked every time
        (scratch / name).symlink_to(got.path.resolve())
    disk.require(kept.parent, later, f"unpacking and preparing {entry.name}")
    for name, expected in source.files.items():
        if name not in read and name.endswith((*TARS, ".zip", ".deb")):
            into = scratch / f"{name}.unpacked"
            into.mkdir()
            extract(scratch / name, into, limit=source.unpacked or 4 * expected.limit)
    origin = ", ".join(served) or "an earlier download"
    return Found(files=locate(entry.files, scratch, scratch / "files"), origin=origin)


def whole(source: Url, kept: Path) -> bool:
    """Whether every file of the source has been downloaded."""
    return all(Partial(kept, wanted(name, file)).complete for name, file in source.files.items())


def wanted(name: str, file: File) -> Wanted:
    """A file of the registry, as ``gauntlet.core.transfer`` knows it."""
    algorithm = "sha256" if file.sha256 else "md5"
    return Wanted(name, file.sha256 or file.md5, algorithm, file.size, file.limit)
