"""Published files over HTTP: size and hash are checked before anything is unpacked."""

from __future__ import annotations

import hashlib
import http.client
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from gauntlet.data.extract import TARS, extract
from gauntlet.data.raw import locate
from gauntlet.data.registry import Entry, File, Url
from gauntlet.data.sources import Found, Unavailable

TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 20
REPORT = 5  # seconds between two lines of progress


def obtain(source: Url, entry: Entry, scratch: Path) -> Found:
    """Download every file from the first base that serves it intact, and unpack it."""
    whole = {file.name for file in entry.files.values()}  # archives that the reader reads as they are
    for name, expected in source.files.items():
        path = scratch / name
        reasons = []
        names = [name, expected.alias] if expected.alias else [name]
        for address in (base + called for base in source.bases for called in names):
            if reason := _download(address, path, expected):
                reasons.append(f"{address}: {reason}")
                path.unlink(missing_ok=True)
            else:
                break
        else:
            raise Unavailable("; ".join(reasons))
        if name not in whole and name.endswith((*TARS, ".zip", ".deb")):
            into = scratch / f"{name}.unpacked"
            into.mkdir()
            extract(path, into, limit=source.unpacked or 4 * expected.limit)
    return Found(files=locate(entry.files, scratch, scratch / "files"))


def _download(url: str, path: Path, expected: File) -> str | None:
    """Write ``url`` to ``path``. Returns why it is not the expected file, or None."""
    size = f"{expected.size / 1e6:.1f} MB" if expected.size else "size unknown"
    print(f"  {url} ({size})", file=sys.stderr, flush=True)
    digest = hashlib.new("sha256" if expected.sha256 else "md5")
    received, reported = 0, time.monotonic()
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "gauntlet"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response, open(path, "wb") as file:
            while chunk := response.read(CHUNK):
                received += len(chunk)
                if received > expected.limit:
                    return f"longer than the {expected.limit} bytes of the registry"
                digest.update(chunk)
                file.write(chunk)
                if time.monotonic() - reported > REPORT:
                    reported = time.monotonic()
                    print(f"    {received / expected.limit:.0%}", file=sys.stderr, flush=True)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        return str(error)
    if expected.size and received != expected.size:
        return f"truncated: {received} of {expected.size} bytes"
    if digest.hexdigest() != (expected.sha256 or expected.md5):
        return f"altered: its {digest.name} is not the registry's"
    return None
