"""What ``gauntlet data list``, ``fetch`` and ``verify`` do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.data import registry


def status() -> list[dict[str, object]]:
    """One row per dataset of the registry.

    ``state`` is absent, prepared, damaged (and which file), or unpinned (no hashes in the registry).
    """
    return [_row(registry.entry(name)) for name in registry.names()]


def _row(entry: registry.AnyEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "state": _state(entry),
        "folder": entry.folder,
        "train": entry.examples("train"),
        "test": entry.examples("test"),
        "classes": entry.class_count,
        "terms": entry.terms,
        "licence": entry.licence,
    }


def _state(entry: registry.Common) -> str:
    from gauntlet.data.prepared import verify

    folder = Path(entry.folder)
    if not folder.is_dir():
        return "absent"
    if entry.prepared is None:
        return "unpinned"
    fault = verify(folder, entry.prepared)
    return f"damaged ({fault[0]})" if fault else "prepared"


def fetch(names: Iterable[str]) -> list[Path]:
    """Obtain and prepare each named set; see ``gauntlet.data.fetch.prepare``. All names are checked first."""
    from gauntlet.data.fetch import prepare

    names = list(names)
    for name in names:
        registry.entry(name)
    return [prepare(name) for name in names]


def verify(names: Iterable[str] = ()) -> list[str]:
    """Check the prepared files of the named sets, or of all that are there. Returns the names checked.

    Raises:
        GauntletError: the first set that is named and absent, or damaged; names the file.
    """
    from gauntlet.data.dataset import load

    chosen = list(names) or [name for name in registry.names() if registry.folder(name).is_dir()]
    if not chosen:
        raise GauntletError("no dataset is prepared here", remedy="gauntlet data fetch NAME")
    for name in chosen:
        load(name, splits=())
    return chosen
