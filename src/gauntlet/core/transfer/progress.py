"""How far a download is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from gauntlet.core.disk import size

EVERY = 15  # seconds between two lines


class Progress:
    """The progress of one file, on standard error. Threads may report at once.

    Args:
        total: bytes, None where they are not known.
        count: bytes that are there already.
    """

    def __init__(self, total: int | None, count: int):
        self._lock = threading.Lock()
        self._total, self._began, self._first = total, time.monotonic(), count
        self._said = self._began
        self._bar = None
        if sys.stderr.isatty():
            columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=total, completed=count)
            self._bar.start()

    def at(self, count: int) -> None:
        """So many bytes are there."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(self._task, completed=count)
                return
            now = time.monotonic()
            if now - self._said >= EVERY:
                self._said = now
                share = f"{count / self._total:.0%}" if self._total else size(count)
                speed = max(count - self._first, 0) / (now - self._began)
                print(f"    {share}, {size(speed)}/s", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.console.print(f"    {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            print(f"    {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
