"""Find the publisher's files of a dataset in a folder, whatever its layout, and verify them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.data.extract import extract
from gauntlet.data.registry import RawFile
from gauntlet.data.sources import Unavailable

DEPTH = 6  # folders below the root that are searched
UNPACKED = 4  # what an archive with a ``member`` may unpack to, in times its own size


def locate(files: Mapping[str, RawFile], root: Path, scratch: Path) -> dict[str, Path]:
    """The verified file for each role in ``files``; of an archive with a ``member`` that file, unpacked.

    A file may lie anywhere below ``root``, as such or as ``<name>.gz``; what is unpacked is in ``scratch``.
    Several datasets use the same file names, so content decides.

    Raises:
        Unavailable: a file is missing; no file of that name has the registry's content; there are several
            files of a name for which the registry has no hash.
        GauntletError: an archive is hostile, or does not have its ``member`` once.
    """
    return {role: _member(file, _find(file, root, scratch), scratch) for role, file in files.items()}


def _member(file: RawFile, path: Path, scratch: Path) -> Path:
    if file.member is None:
        return path
    into = scratch / f"{file.name}.unpacked"
    into.mkdir(parents=True)
    unpacked = extract(path, into, limit=UNPACKED * path.stat().st_size)
    found = [written for written in unpacked if written.name == file.member]
    if len(found) != 1:
        raise GauntletError(
            f"it has {len(found)} files {file.member}, not one", file=path, remedy="fetch it again"
        )
    return found[0]


def _find(file: RawFile, root: Path, scratch: Path) -> Path:
    faults = []
    if file.unverified:
        return _only(file.name, root)
    for index, path in enumerate(_candidates(root, file.name)):
        if path.name != file.name:
            if file.size is None:  # without it, what is unpacked would have no limit
                continue
            unpacked = scratch / f"{file.name}.{index}"
            unpacked.mkdir(parents=True)
            try:
                (path,) = extract(path, unpacked, limit=file.size)
            except GauntletError as error:
                faults.append(error.problem)
                continue
        if fault := _fault(path, file):
            faults.append(fault)
        else:
            return path
    raise Unavailable(f"{file.name}: {faults[0] if faults else 'not there'}")


def _only(name: str, root: Path) -> Path:
    """The file of this name, of which no hash is known: then there must not be a choice."""
    found = [path for path in _candidates(root, name) if path.name == name]
    if not found:
        raise Unavailable(f"{name}: not there")
    if len(found) > 1:
        raise Unavailable(
            f"{name}: there are {len(found)} files of this name, and no published hash tells which one is "
            "meant; put this set's files into a folder with the set's name"
        )
    return found[0]


def _candidates(root: Path, name: str) -> Iterator[Path]:
    for depth in range(DEPTH + 1):
        for suffix in ("", ".gz"):
            yield from sorted(p for p in root.glob("*/" * depth + name + suffix) if p.is_file())


def _fault(path: Path, file: RawFile) -> str | None:
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{'truncated' if size < file.size else 'altered'}: {size} bytes, not {file.size}"
    kind = "sha256" if file.sha256 else "md5"
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, kind).hexdigest()
    return None if digest == getattr(file, kind) else f"altered: its {kind} is not the registry's"
