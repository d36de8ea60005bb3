"""Which environment there is, which one is wanted, and what lies between."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path

ENVS = Path(__file__).resolve().parent
ROOT = ENVS.parent
STAMP = "gauntlet-setup.json"


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def locks_of(names):
    return {name: sha256(ENVS / f"{name}.txt") for name in sorted(names)}


def read_stamp(venv):
    try:
        return json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def wanted_locks(name, stamp):
    """The locks to install for the environment asked for, given the one that is there.

    ``test`` contains ``cpu``; on top of ``gpu`` it adds the test tools and keeps the GPU's packages.
    """
    present = set(stamp.get("locks", ()))
    if name is None:
        return present or {"cpu"}
    if name == "cpu" and "test" in present and "gpu" not in present:
        return present
    if name == "test":
        return {"gpu", "test"} if "gpu" in present else {"test"}
    if name == "gpu" and "gpu" in present:
        return present
    return {name}


def describe(names, torch_index):
    """What a finished environment's stamp says; any difference means to build it again."""
    return {
        "locks": locks_of(names),
        "root": str(ROOT),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "project": sha256(ROOT / "pyproject.toml"),
        "torch_index": torch_index,
    }


def missing_work(venv, stamp, description):
    """``nothing``, ``project`` (only pyproject.toml changed: its commands may have) or ``all``."""
    if not (venv / "bin" / "python").exists() or stamp.get("state") != "done":
        return "all"
    changed = {key for key, value in description.items() if stamp.get(key) != value}
    return "all" if changed - {"project"} else "project" if changed else "nothing"


def write_stamp(venv, content):
    temporary = venv / (STAMP + ".new")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, venv / STAMP)
