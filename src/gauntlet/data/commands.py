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


def verify(names: Iterable[str] = (), *, dvc: bool = False) -> list[str]:
    """Check the prepared files of the named sets, or of all that are there. Returns the names checked.

    Args:
        dvc: check DVC's objects of these sets first, in its cache and in remotes that are folders.

    Raises:
        GauntletError: the first set that is named and absent, or damaged; names the file. Of the sets whose
            objects are missing or altered the first, with all these objects.
    """
    from gauntlet.data.dataset import load

    chosen = list(names) or [name for name in registry.names() if registry.folder(name).is_dir()]
    if not chosen:
        raise GauntletError("no dataset is prepared here", remedy="gauntlet data fetch NAME")
    for name in chosen:
        if dvc:
            _verify_objects(registry.entry(name))
        load(name, splits=())
    return chosen


def _verify_objects(entry: registry.Common) -> None:
    from gauntlet.core.provenance import data_version
    from gauntlet.data import objects
    from gauntlet.data.sources import Unavailable
    from gauntlet.data.sources import dvc as source

    try:
        cache, urls = source.cache(), source.remotes()
    except Unavailable as error:
        raise GauntletError(str(error), file=".dvc", remedy="run it where .dvc/ is") from error
    folders = [Path(url) for url in urls if "://" not in url]
    for root in (*folders, cache):  # the cache is mended from a remote
        if found := [f"{path}: {problem}" for path, problem in objects.faults(entry.pin, root, entry.folder)]:
            remedy = f"delete the altered objects; then dvc fetch {entry.folder}"
            if root != cache:  # `dvc push` takes a folder for complete whose listing is there
                listing = objects.place(root, data_version(entry.pin))
                remedy = f"delete the altered objects and {listing}; then, in a clone that has the set, "
                remedy += f"dvc push {entry.folder}"
            raise GauntletError("\n    ".join(["not what DVC stored", *found]), file=root, remedy=remedy)
