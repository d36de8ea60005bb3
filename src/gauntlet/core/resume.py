"""Resume for long loops: state at intervals and on a signal, outside the declared outputs.

Snakemake deletes a rule's outputs before it runs, so a killed or requeued job can only go on from a
state kept elsewhere. The state carries the identity of its run and is refused by any other.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gauntlet.core import processes
from gauntlet.core.files import atomic, digest_json


class Resume:
    """The saved state of one loop.

    Use as a context manager around the loop::

        with Resume(folder / "seed-0.state", identity) as resume:
            state = resume.load()                   # None at a fresh start
            for step in range(state["step"] if state else 0, steps):
                ...
                resume.checkpoint(lambda: {"step": step + 1, ...})
        resume.clear()                              # once the outputs are safe

    On SIGTERM, SIGINT or SIGUSR1 (what schedulers send before they kill) the loop ends at its next
    ``checkpoint`` with the state saved and exit code 128 + signal. Of several processes that train together
    all go on from the state, and the leader alone saves it and minds the signal: where it ends, all end.

    Args:
        path: the state file; None keeps nothing.
        identity: everything that determines the run, JSON-ready (configuration, code digest).
        every: seconds between saves.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

    def __init__(self, path: str | Path | None, identity: Any, every: float = 20.0):
        self.path = Path(path) if path else None
        self.identity = digest_json(identity)
        self.every = every
        self._last = time.monotonic()
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Resume:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signal = number

    def load(self) -> dict[str, Any] | None:
        """The state to go on from, or None. A foreign or damaged state is refused, with a line saying so."""
        if self.path is None or not self.path.is_file():
            return None
        import torch

        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, when = saved["identity"], saved["saved"]
        except Exception as error:  # whatever a damaged file makes the reader raise
            self._refuse(f"damaged ({type(error).__name__})")
            return None
        if identity != self.identity:
            self._refuse("of another configuration or code")
            return None
        print(f"resuming from {self.path}, saved {when}", file=sys.stderr)
        return saved["state"]

    def _refuse(self, why: str) -> None:
        print(f"{self.path}: saved state is {why}; starting afresh", file=sys.stderr)

    def checkpoint(self, state) -> None:
        """Save ``state()`` when it is time to, or when a signal asked for it (then exit).

        ``state`` is a function that returns tensors, numbers, strings, lists and dicts only.
        """
        if not processes.leader():
            return
        if self._signal is not None:
            name = signal.Signals(self._signal).name
            self.save(state(), f"on {name}")
            print(f"{name}: ending; the next run goes on from {self.path}", file=sys.stderr)
            sys.exit(128 + self._signal)
        if time.monotonic() - self._last >= self.every:
            self.save(state())

    def save(self, state: dict[str, Any], when: str = "in time") -> None:
        """Write the state now, whole or not at all; ``when`` is told to whoever goes on from it."""
        if self.path is not None and processes.leader():
            import torch

            buffer = io.BytesIO()
            torch.save({"identity": self.identity, "state": state, "saved": when}, buffer)
            with atomic(self.path) as temporary:
                temporary.write_bytes(buffer.getvalue())
        self._last = time.monotonic()

    def clear(self) -> None:
        """Forget the state; call when the outputs that it led to are in place."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
