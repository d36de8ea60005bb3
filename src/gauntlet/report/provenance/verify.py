"""Hash everything again, and compare it with what was recorded of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import SEAL, read_json, read_sealed, sha256_file
from gauntlet.core.provenance import SIDECAR
from gauntlet.data import registry
from gauntlet.models.weights.base import FOLDER as WEIGHTS
from gauntlet.report.measurements import MANIFEST
from gauntlet.report.provenance.chain import STEPS
from gauntlet.report.provenance.trace import DRAWN, ROOTS
from gauntlet.report.study import STUDIES

RESULTS = Path("results")

#: Files that ought to have a sidecar or a manifest.
PAYLOADS = (".parquet", ".safetensors", ".csv", ".html")

#: Digits of a hash in a message.
DIGITS = 16


class Recorded(NamedTuple):
    """What one file says of another."""

    file: Path
    sha256: str
    by: Path
    maker: Path | None = None  #: what was made from it; None: it is the file's own hash


@dataclass
class Checked:
    """What was found, one line per file.

    ``altered`` and ``missing`` are faults; ``uncovered`` is what nobody recorded, and ``elsewhere`` counts
    files that something was made from and that are not on this machine.
    """

    altered: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)
    hashed: int = 0
    elsewhere: int = 0

    @property
    def well(self) -> bool:
        return not (self.altered or self.missing)


def verify(
    what: Collection[str] = (), progress: Callable[[list[Path]], Iterable[Path]] = lambda files: files
) -> Checked:
    """Compare data sets with the registry, and weights, measurements, published tables and drawn files with
    their sidecars and manifests, as far as they are on this machine.

    Args:
        what: studies (their measurements, jobs, data and drawn files) or paths (what lies there); all when
            empty. Relative to the repository's root, the working directory.
        progress: is given the files that will be hashed, and passes them on one by one.

    Raises:
        GauntletError: a name that is neither a study nor a path.
    """
    places = _places(what)
    read = _Reader(places)
    recorded = list(read.all())
    checked, present = read.checked, sorted({entry.file for entry in recorded if entry.file.is_file()})
    now = {file: sha256_file(file) for file in progress(present)}
    checked.hashed = len(now)
    elsewhere = set()
    for entry in recorded:
        if entry.file in now:
            if now[entry.file] != entry.sha256:
                checked.altered.append(_altered(entry, now[entry.file]))
        elif entry.maker is None:
            checked.missing.append(f"{entry.file}: missing; {entry.by} names it")
        else:
            elsewhere.add(entry.file)
    known = {entry.file for entry in recorded}
    checked.uncovered += [
        f"{file}: nothing recorded its hash"
        for root in (RESULTS, DRAWN, WEIGHTS, ROOTS[-1])
        for file in sorted(root.rglob("*"))
        if file.suffix in PAYLOADS and file not in known and _within(file, places)
    ]
    checked.elsewhere = len(elsewhere)
    checked.altered, checked.missing = (
        list(dict.fromkeys(each)) for each in (checked.altered, checked.missing)
    )
    return checked


def _altered(entry: Recorded, now: str) -> str:
    if entry.maker:
        return f"{entry.maker}: made from another {entry.file} than is there now"
    hashes = f"SHA-256 {now[:DIGITS]}, {entry.sha256[:DIGITS]} in {entry.by}"
    return f"{entry.file}: not the file that was recorded ({hashes})"


class _Reader:
    """Reads what registry, sidecars and manifests say of the files in some places."""

    def __init__(self, places: Collection[Path]):
        self.places, self.checked = places, Checked()

    def all(self) -> Iterator[Recorded]:
        for each in (self.data(), self.sidecars(), self.manifests()):
            yield from (
                entry for entry in each if _within(entry.file, self.places) or _within(entry.by, self.places)
            )

    def data(self) -> Iterator[Recorded]:
        for entry in registry.load().values():
            folder = Path(entry.folder)
            if folder.is_dir() and entry.prepared is None and _within(folder, self.places):
                self.checked.uncovered.append(f"{folder}: the registry has no hashes of it")
            elif folder.is_dir():
                for name, digest in (entry.prepared or {}).items():
                    yield Recorded(folder / name, digest, registry.REGISTRY)

    def sidecars(self) -> Iterator[Recorded]:
        for root in (WEIGHTS, RESULTS, DRAWN):
            for path in sorted(root.rglob(f"*{SIDECAR}")):
                if (content := self._sealed(path)) is None:
                    continue
                payload = path.with_name(path.name.removesuffix(SIDECAR))
                yield Recorded(payload, content["sha256"], path)
                for name, digest in content.get("outputs", {}).items():
                    yield Recorded(path.with_name(name), digest, path)
                maker = payload if root == DRAWN else payload.parent
                for file, digest in content.get("inputs", {}).items():
                    yield Recorded(Path(file), digest, path, maker)

    def manifests(self) -> Iterator[Recorded]:
        for root in ROOTS:
            for path in sorted(root.glob(f"*/*/{MANIFEST}")):
                if (content := self._sealed(path)) is None:
                    continue
                for name, entry in content["tables"].items():
                    yield Recorded(path.with_name(f"{name}.parquet"), entry["sha256"], path)
                # Published measurements may be another machine's, whose bytes may be others.
                for cell in content["cells"] if root == ROOTS[0] else ():
                    for step in filter(cell.get, STEPS):
                        for name, digest in cell[step].get("outputs", {}).items():
                            yield Recorded(Path(cell[step]["folder"], name), digest, path, path.parent)

    def _sealed(self, path: Path) -> dict[str, Any] | None:
        """The content of a sealed file; None when it was edited, or is damaged."""
        try:
            content = read_sealed(path)
        except GauntletError as error:
            if _within(path, self.places):
                self.checked.altered.append(f"{path}: {error.problem}")
            return None
        if SEAL not in read_json(path) and _within(path, self.places):
            self.checked.uncovered.append(f"{path}: an earlier version wrote it, without a seal")
        return content


def _within(file: Path, places: Collection[Path]) -> bool:
    return not places or any(file == place or place in file.parents for place in places)


def _places(what: Collection[str]) -> list[Path]:
    """The paths that are asked for, those of studies among them."""
    studies = [path.stem for path in STUDIES.glob("*.yaml")]
    places = []
    for name in what:
        if name in studies:
            places += _of_study(name)
        elif Path(name).exists():
            places.append(Path(os.path.relpath(name)))  # files are named relative to the repository's root
        else:
            raise GauntletError(f"{name!r} is no study and no path", remedy=did_you_mean(name, studies))
    return places


def _of_study(study: str) -> list[Path]:
    """Where the files of a study are: gathered and drawn, of its jobs, and its data."""
    places = {DRAWN / study, *(root / study for root in ROOTS)}
    for path in (path for root in ROOTS for path in root.glob(f"{study}/*/{MANIFEST}")):
        for cell in read_json(path)["cells"]:
            places |= {Path(cell[step]["folder"]) for step in filter(cell.get, STEPS)}
            places |= {Path(needed["folder"]) for needed in cell.get("needed", {}).values()}
            if cell["dataset"] in registry.names():
                places.add(registry.folder(cell["dataset"]))
    return sorted(places)
