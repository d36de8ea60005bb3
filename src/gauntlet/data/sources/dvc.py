"""The prepared set from DVC: this repository's remote, or its local cache.

``dvc get`` writes into a folder of our choice, so that the set is verified before it takes its
place; neither the workspace nor ``data.dvc`` is touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from gauntlet.data.registry import Dvc, Entry
from gauntlet.data.sources import Found, Unavailable

TIMEOUT = 3600  # seconds per command


def obtain(source: Dvc, entry: Entry, scratch: Path) -> Found:
    """The prepared set, copied below ``scratch``."""
    pin = entry.pin
    if not Path(".dvc").is_dir() or not pin.is_file():
        raise Unavailable(f"there is no {pin} here")
    Path(".dvc/tmp").mkdir(exist_ok=True)
    with FileLock(".dvc/tmp/gauntlet.lock"):  # a second dvc would give up on DVC's own lock
        remotes = _remotes()
        if remotes:
            _dvc("fetch", entry.folder)
        elif not Path(".dvc/cache/files").is_dir():
            raise Unavailable("no DVC remote is configured")
        _dvc("get", ".", entry.folder, "--out", str(scratch.resolve() / "prepared"))
    return Found(prepared=scratch / "prepared")


def _remotes() -> list[str]:
    """URLs of the configured remotes; without those that need the network when GAUNTLET_OFFLINE=1."""
    lines = _dvc("remote", "list").splitlines()
    urls = [fields[1] for line in lines if len(fields := line.split()) > 1]
    offline = os.environ.get("GAUNTLET_OFFLINE") == "1"
    return [url for url in urls if not (offline and "://" in url)]


def _dvc(*arguments: str) -> str:
    """Standard output of a dvc command. Raises Unavailable with dvc's reason when it fails."""
    try:
        run = subprocess.run(
            [sys.executable, "-P", "-m", "dvc", *arguments],
            env={**os.environ, "DVC_NO_ANALYTICS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"dvc {arguments[0]} took more than {TIMEOUT} s") from error
    if run.returncode:
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(errors[-1] if errors else f"dvc {arguments[0]} ended with status {run.returncode}")
    return run.stdout
