"""The prepared set from DVC: this repository's remote, or its local cache.

``dvc get`` writes into a folder of our choice, so that the set is verified before it takes its
place; neither the workspace nor ``data.dvc`` is touched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from gauntlet.core.lock import alone
from gauntlet.data import objects
from gauntlet.data.registry import Dvc, Entry
from gauntlet.data.sources import Found, Unavailable

TIMEOUT = 3600  # seconds per command
LOCK = ".dvc/tmp/gauntlet.lock"  # for all our processes: a second dvc would give up on DVC's own lock


def obtain(source: Dvc, entry: Entry, scratch: Path) -> Found:
    """The prepared set, copied below ``scratch``."""
    pin = entry.pin
    if not Path(".dvc").is_dir() or not pin.is_file():
        raise Unavailable(f"there is no {pin} here")
    with alone(LOCK):
        store = cache()
        if remotes():
            run("fetch", entry.folder)
        elif not (store / objects.STORE).is_dir():
            raise Unavailable("no DVC remote is configured")
        for path, problem in objects.faults(pin, store, entry.folder):
            raise Unavailable(f"{path}: {problem}; to mend it: gauntlet data verify --dvc {entry.name}")
        run("get", ".", entry.folder, "--out", str(scratch.resolve() / "prepared"))
    return Found(prepared=scratch / "prepared")


def cache() -> Path:
    """The folder of DVC's cache, wherever it is configured to be."""
    return Path(run("cache", "dir").strip())


def remotes() -> list[str]:
    """URLs of the configured remotes; without those that need the network when GAUNTLET_OFFLINE=1."""
    # Not `dvc remote list`, which breaks long addresses into lines. What is nearer to the user comes later.
    found = re.findall(r"^remote\.(.+)\.url=(.+)$", run("config", "--list"), re.MULTILINE)
    offline = os.environ.get("GAUNTLET_OFFLINE") == "1"
    return [url for url in dict(found).values() if not (offline and "://" in url)]


def run(*arguments: str) -> str:
    """Standard output of a dvc command. Raises Unavailable with dvc's reason when it fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "dvc", *arguments],
            env={**os.environ, "DVC_NO_ANALYTICS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"dvc {arguments[0]} took more than {TIMEOUT} s") from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(errors[-1] if errors else f"dvc {arguments[0]} ended with status {done.returncode}")
    return done.stdout
