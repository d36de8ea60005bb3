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


def locate(files: Mapping[str, RawFile], root: Path, scratch: Path) -> dict[str, Path]:
    """The verified file for each role in ``files``.

    A file may lie anywhere below ``root``, as such or as ``<name>.gz`` (unpacked into ``scratch``).
    Several datasets use the same file names, so content decides.

    Raises:
        Unavailable: a file is missing, or no file of that name has the registry's content.
    """
    return {role: _find(file, root, scratch) for role, file in files.items()}


def _find(file: RawFile, root: Path, scratch: Path) -> Path:
    faults = []
    for index, path in enumerate(_candidates(root, file.name)):
        if path.name != file.name:
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


def _candidates(root: Path, name: str) -> Iterator[Path]:
    for depth in range(DEPTH + 1):
        for suffix in ("", ".gz"):
            yield from sorted(p for p in root.glob("*/" * depth + name + suffix) if p.is_file())


def _fault(path: Path, file: RawFile) -> str | None:
    size = path.stat().st_size
    if size != file.size:
        return f"{'truncated' if size < file.size else 'altered'}: {size} bytes, not {file.size}"
    kind = "sha256" if file.sha256 else "md5"
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, kind).hexdigest()
    return None if digest == getattr(file, kind) else f"altered: its {kind} is not the registry's"
