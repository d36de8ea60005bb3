"""What has come of a file: its bytes, and a ledger of which of them are there."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gauntlet.core.disk import FULL
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json
from gauntlet.core.transfer import Wanted

#: The ledger is written after so many seconds or bytes: what a killed process loses at most.
SECONDS, BYTES = 1.0, 1 << 22
ROOM = 1 << 16  # bytes, more than enough for a ledger


class Partial:
    """A file in the making. Its name is the expected hash, so no other file's bytes are taken for its own.

    The ledger never claims bytes that were not written before, so that a process may be killed at any time.
    (A machine that fails may lose some; then the hash differs, and the file is fetched anew.) Threads may
    write at once. Nobody else may: callers hold a lock.

    Args:
        folder: where it is kept; made when the first byte comes.

    Attributes:
        total: bytes of the whole file, where that is known.
        validators: address -> ETag or date of change, for asking whether the file is the same there.
        responses: how many answers its bytes are from, at least.
    """

    def __init__(self, folder: Path, wanted: Wanted):
        self.wanted = wanted
        self.path = folder / f"{wanted.digest}.part"
        self.ledger = folder / f"{wanted.digest}.json"
        self._lock = threading.Lock()
        self._empty()
        try:
            kept = read_json(self.ledger)
            total, spans = self.total or kept["total"], [(int(a), int(b)) for a, b in kept["spans"]]
            last = max(b for _, b in spans)
            if last <= self.path.stat().st_size and last <= (total or last):
                self.total, self._spans, self.validators = total, spans, dict(kept["validators"])
                self.responses = 1
        except (GauntletError, KeyError, TypeError, ValueError, OSError):
            pass  # nothing was kept, or it is of no use

    def _empty(self) -> None:
        self.total: int | None = self.wanted.size
        self.validators: dict[str, str] = {}
        self.responses = 0
        self._spans: list[tuple[int, int]] = []
        self._saved, self._unsaved = time.monotonic(), 0

    @property
    def count(self) -> int:
        """Bytes that are there."""
        return sum(stop - start for start, stop in self._spans)

    @property
    def occupied(self) -> int:
        """Bytes of the disk that it has already."""
        return self.path.stat().st_blocks * 512 if self.path.exists() else 0

    @property
    def complete(self) -> bool:
        return self.total is not None and self.count == self.total

    def missing(self, piece: int | None = None) -> list[tuple[int, int | None]]:
        """What is not there yet: start, and end or None where that is not known; in pieces of ``piece``."""
        gaps, at = [], 0
        for start, stop in [*self._spans, (self.total, None)]:
            if start is None:
                gaps.append((at, None))
            elif start > at:
                step = piece or start - at
                gaps += [(low, min(low + step, start)) for low in range(at, start, step)]
            at = stop
        return gaps

    def open(self) -> BinaryIO:
        """The file for writing, for one thread."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")

    def write(self, file: BinaryIO, start: int, chunk: bytes) -> None:
        """Write ``chunk`` at ``start``, where ``file`` already is, and enter it into the ledger."""
        file.write(chunk)
        file.flush()
        with self._lock:
            self._add(start, start + len(chunk))
            self._unsaved += len(chunk)
            if self._unsaved >= BYTES or time.monotonic() - self._saved >= SECONDS:
                self._save()

    def _add(self, start: int, stop: int) -> None:
        merged: list[tuple[int, int]] = []
        for low, high in sorted([*self._spans, (start, stop)]):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        self._spans = merged

    def begin(self, url: str, validator: str) -> None:
        """Forget all: the whole file comes now, from ``url``. No other thread may be writing."""
        self.ledger.unlink(missing_ok=True)
        self._empty()
        self.goes_on(url, validator)

    def goes_on(self, url: str, validator: str) -> bool:
        """Whether what comes from ``url`` next is of the same version as what came from there before.

        Args:
            validator: as the server gives it now; empty where it gives none.
        """
        with self._lock:
            self.responses += 1
            return not validator or self.validators.setdefault(url, validator) == validator

    def save(self) -> None:
        """Write the ledger. On a full disk that takes the file's last bytes. No thread may be writing."""
        if not self._spans:
            return
        try:
            self._save()
        except OSError as error:
            if error.errno not in FULL:
                raise
            start, stop = self._spans.pop()
            if stop - ROOM > start:
                self._spans.append((start, stop - ROOM))
            os.truncate(self.path, self._spans[-1][1] if self._spans else 0)
            with suppress(OSError):
                self._save()

    def _save(self) -> None:
        kept = {"total": self.total, "spans": self._spans, "validators": self.validators}
        beside = self.ledger.with_suffix(".new")
        try:
            beside.write_text(json.dumps(kept), encoding="utf-8")  # not flushed to the disk: see the class
            os.replace(beside, self.ledger)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        self._saved, self._unsaved = time.monotonic(), 0

    def intact(self) -> bool:
        """Whether the complete file's hash is the expected one."""
        if self.path.stat().st_size > self.total:  # of an earlier version
            os.truncate(self.path, self.total)
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, self.wanted.algorithm).hexdigest().startswith(self.wanted.digest)

    def reset(self) -> None:
        """Forget all, and remove it. No thread may be writing."""
        self.ledger.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # other files are there
            self.path.parent.rmdir()
        self._empty()
