"""The objects that hold a set in DVC's cache or in a remote that is a folder, compared with their names.

An object is called by the MD5 of its content: ``files/md5/8d/918d...``; that of a folder, ``....dir``, is the
listing of its files in JSON. DVC trusts a read-only object by its name alone: it does not see an altered one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from gauntlet.core.errors import GauntletError

#: Where the objects are below a cache or a remote.
STORE = Path("files", "md5")


def faults(pin: Path, root: Path, folder: str | Path) -> Iterator[tuple[Path, str]]:
    """The objects below ``root`` that are missing or altered, each with the problem and whose it is.

    Args:
        pin: DVC's file of the set, such as ``data.dvc``.
        root: a cache, or a remote that is a folder.
        folder: what the pin's listing has outside of this folder is left out.

    Raises:
        GauntletError: ``pin`` is not there, or no such file.
    """
    for md5, path in _listed(pin, root, folder):
        found = place(root, md5)
        if not found.is_file():
            yield found, f"the object of {path} is missing"
        elif not _intact(found, md5):
            yield found, f"the object of {path} is altered: its MD5 is not its name"


def place(root: Path, md5: str) -> Path:
    """Where the object called ``md5`` is."""
    return root / STORE / md5[:2] / md5[2:]


def _listed(pin: Path, root: Path, folder: str | Path) -> Iterator[tuple[str, str]]:
    """The object of the pin, and those of the files in its folder, with their paths."""
    try:
        (out,) = yaml.safe_load(pin.read_text(encoding="utf-8"))["outs"]
        md5, base = str(out["md5"]), pin.parent / str(out["path"])
    except FileNotFoundError as error:
        raise GauntletError("DVC does not pin this set", file=pin, remedy="leave out --dvc") from error
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise GauntletError(f"not a file of DVC ({error})", file=pin, remedy="git restore it") from error
    yield md5, str(base)
    listing = place(root, md5)
    if md5.endswith(".dir") and listing.is_file() and _intact(listing, md5):
        for file in json.loads(listing.read_bytes()):
            path = base / file["relpath"]
            if path.is_relative_to(folder):
                yield file["md5"], str(path)


def _intact(path: Path, md5: str) -> bool:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == md5.removesuffix(".dir")
