"""Files that come with an installed Python package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from gauntlet.data.raw import locate
from gauntlet.data.registry import Entry, Wheel
from gauntlet.data.sources import Found, Unavailable


def obtain(source: Wheel, entry: Entry, scratch: Path) -> Found:
    """The files, found without importing the package. ``path`` is the only one, or the folder of all."""
    spec = importlib.util.find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(f"the package {source.package!r} is not installed")
    for location in spec.submodule_search_locations:
        path = Path(location) / source.path
        if path.exists():
            folder = path if path.is_dir() else path.parent
            return Found(files=locate(entry.files, folder, scratch))
    raise Unavailable(f"the installed {source.package!r} has no {source.path}")
