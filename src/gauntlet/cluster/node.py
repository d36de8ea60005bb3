"""What a machine sees, for two machines to compare: ``python -m gauntlet.cluster.node FILE...``"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from gauntlet.core.files import digest_json, sha256_file
from gauntlet.core.provenance import environment
from gauntlet.core.registry import PACKAGE


def facts(files: list[str]) -> dict[str, Any]:
    """The host, its Python, libraries and code, and the digest of each file (None where unreadable)."""
    known = environment()
    return {
        "host": platform.node(),
        "folder": os.getcwd(),
        "environment": {
            "Python": known["python"],
            "machine": platform.machine(),
            **known["libraries"],
            "gauntlet": digest_json([sha256_file(path) for path in sorted(PACKAGE.rglob("*.py"))], 8),
        },
        "files": {name: _digest(name) for name in files},
    }


def _digest(name: str) -> str | None:
    try:
        return sha256_file(name)
    except OSError:
        return None


def differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """In words, what ``there`` lacks or has otherwise; empty when jobs there would do the same as here."""
    found = []
    if here["folder"] != there["folder"]:
        found.append(f"it does not see the folder {here['folder']}")
    elif unseen := [name for name, digest in here["files"].items() if there["files"].get(name) is None]:
        found.append(f"it does not see {Path(here['folder']) / unseen[0]}")
    elif other := [name for name, digest in here["files"].items() if there["files"][name] != digest]:
        found.append(f"it sees another {Path(here['folder']) / other[0]}")
    for name, version in here["environment"].items():
        if there["environment"].get(name) != version:
            found.append(f"{name} is {there['environment'].get(name)} there and {version} here")
    return found


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1:])))
