"""A Debian package, fetched with private apt directories: neither root nor dpkg is needed.

apt reads this machine's sources and keys (so it verifies signatures as always), but keeps its
package lists, cache and logs in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from gauntlet.data.extract import extract
from gauntlet.data.raw import locate
from gauntlet.data.registry import Apt, Entry
from gauntlet.data.sources import Found, Unavailable

TIMEOUT = 900  # seconds per apt command

# Read after the machine's own configuration: no hooks (they would tidy the machine's cache), and
# only the package index. The sandbox user could not write to a private folder.
CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::State "{root}/state";
Dir::State::Lists "{root}/state/lists";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::Archives "{root}/cache/archives";
Dir::Log "{root}/log";
"""


def obtain(source: Apt, entry: Entry, scratch: Path) -> Found:
    """Download the package, unpack it, and find the files in it."""
    if shutil.which("apt-get") is None:
        raise Unavailable("there is no apt-get here")
    root = scratch / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial", "log", "package"):
        (root / folder).mkdir(parents=True)
    (root / "state" / "status").touch()
    configuration = root / "apt.conf"
    configuration.write_text(CONFIGURATION.format(root=root.resolve()), encoding="utf-8")

    # A dead third-party repository makes the update fail, yet the package may be elsewhere.
    update = _apt(configuration, root / "package", "update")
    download = _apt(configuration, root / "package", "download", source.package)
    packages = sorted((root / "package").glob("*.deb"))
    if download.returncode or len(packages) != 1:
        raise Unavailable(f"apt-get cannot download {source.package}: {_reason(download, update)}")
    unpacked = root / "unpacked"
    unpacked.mkdir()
    extract(packages[0], unpacked, limit=4 * packages[0].stat().st_size)
    return Found(files=locate(entry.files, unpacked, root / "files"))


def _apt(configuration: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = ["apt-get", "--config-file", str(configuration.resolve()), "--quiet=2", *arguments]
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"apt-get {arguments[0]} took more than {TIMEOUT} s") from error


def _reason(*runs: subprocess.CompletedProcess) -> str:
    lines = [line for run in runs for line in run.stderr.splitlines() if line.startswith(("E:", "W:"))]
    return lines[0] if lines else f"exit status {runs[0].returncode}"
