"""Every dataset of the registry with its state on this machine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gauntlet.core.files import digest_json
from gauntlet.data import registry, sizes
from gauntlet.data.registry import AnyEntry

READY, INCOMPLETE, DOWNLOAD, ACCOUNT, SUPPLIED = (
    "ready",
    "incomplete",
    "needs download",
    "needs an account",
    "needs your copy",
)

#: Sources that serve only what somebody has put there.
BY_HAND = ("dvc", "folder")


def datasets(sheets: str | Path, used: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """One row per dataset, ready ones first.

    Args:
        sheets: folder with the sheets of samples, ``<name>.webp`` (``gauntlet data sheet``).
        used: dataset -> the studies of this run that have it.
    """
    rows = [_row(registry.entry(name), Path(sheets), used.get(name, [])) for name in registry.names()]
    return sorted(rows, key=lambda row: (row["state"] != READY, row["name"]))


def state(entry: AnyEntry) -> str:
    """Whether the prepared set is here, and else what it takes. Looks at names alone: jobs, and the sheet's
    rule, compare every byte with the registry."""
    folder = Path(entry.folder)
    if folder.is_dir() and entry.prepared:
        return READY if all((folder / file).is_file() for file in entry.prepared) else INCOMPLETE
    if entry.terms == "account":
        return ACCOUNT
    return SUPPLIED if all(source.kind in BY_HAND for source in entry.sources) else DOWNLOAD


def _row(entry: AnyEntry, sheets: Path, used: list[str]) -> dict[str, Any]:
    here, sheet = state(entry), sheets / f"{entry.name}.webp"
    size = sizes.prepared_bytes(entry)
    if here == READY:
        size = sum((Path(entry.folder) / file).stat().st_size for file in entry.prepared)
    return {
        "name": entry.name,
        "title": entry.title,
        "reference": entry.reference,
        "state": here,
        "bytes": size,
        "licence": entry.licence,
        "terms": entry.terms,
        "version": digest_json(entry.prepared, 12) if entry.prepared else "",
        "classes": entry.class_count,
        "split": [(split, entry.examples(split)) for split in entry.splits]
        or [("items", entry.counts.items)],
        "folder": entry.folder,
        "used": used,
        "sheet": _embedded(sheet) if here == READY and sheet.is_file() else "",
    }


def _embedded(image: Path) -> str:
    return "data:image/webp;base64," + base64.b64encode(image.read_bytes()).decode()
