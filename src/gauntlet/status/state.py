"""What has become of every step, by looking at its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gauntlet.core import pulse
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar, sidecar_path
from gauntlet.status.steps import Step

#: A step that takes seconds and has no pulse is at work as long as its log is so young.
YOUNG = 600.0
#: Lines by which a log says that its job failed.
ERROR = re.compile(r"^(gauntlet: |Traceback |Error|\w*(Error|Exception)\b)", re.MULTILINE)
#: Bytes at the end of a log that are read.
END = 20_000


@dataclass(frozen=True)
class State:
    """One step now.

    Attributes:
        state: ``done``; ``running``; ``failed`` (its log says so); ``stopped`` (it began, and ended without
            outputs and without a word: killed, or asked to stop, and it goes on where it was); ``waiting``
            (for other steps); ``ready``.
        seconds: what it took, or for how long it has run; None where nobody has written that down.
        device: that it ran on, of a job that is done.
        says: the last line of a running job that tells of a seed.
        pulse: a running job's last sample (``core.pulse.sample``).
    """

    state: str
    seconds: float | None = None
    device: str | None = None
    says: str = ""
    pulse: Mapping[str, float] = field(default_factory=dict)


class Look:
    """Looks again and again; what cannot have changed is not read twice.

    Args:
        steps: of ``steps.of_plan``: each after those that it waits for.
    """

    def __init__(self, steps: Mapping[str, Step]):
        self.steps = dict(steps)
        self._sidecars: dict[Path, tuple[float, dict[str, Any]]] = {}

    def __call__(self, now: float, since: float = 0.0) -> dict[str, State]:
        """Name -> state, at ``now`` (seconds since 1970). What failed or stopped before ``since`` is as if it
        had not begun."""
        states: dict[str, State] = {}
        made: dict[str, float] = {}  # step -> when the newest of its outputs appeared
        for name, step in self.steps.items():
            waits = [other for other in step.waits if other in self.steps]
            begun = max((made[other] for other in waits if self.steps[other].stage != "data"), default=0.0)
            times = [_mtime(path) for path in step.outputs]
            made[name] = max(times)
            open_ = {self.steps[other].stage for other in waits if states[other].state != "done"}
            states[name] = self._state(step, open_, min(times), begun, max(begun, since), now)
        return states

    def _state(
        self, step: Step, waits: set[str], oldest: float, begun: float, since: float, now: float
    ) -> State:
        """The state of one step.

        Args:
            waits: stages of the steps before it that are not done.
            oldest: when the first of its outputs appeared; 0 where one is missing.
            begun: when the last of its inputs appeared, datasets left out (Snakemake looks at their content).
            since: a log that is not younger tells of an earlier run.
        """
        lines = pulse.read(step.pulse) if step.pulse else []
        if lines and pulse.alive(step.pulse, lines[0], now):
            seconds = max(0.0, now - lines[0]["started"])
            return State("running", seconds, says=_says(step.log), pulse=lines[-1] if lines[1:] else {})
        if oldest and oldest >= begun and waits <= {"data"}:
            took = self._sidecar(step)
            if "code" not in took or took["code"] == step.cell.code(step.stage):
                return State("done", took.get("seconds"), took.get("device"))
        if waits:
            return State("waiting")
        logged = _mtime(step.log)
        if logged <= max(since, oldest):
            return State("ready")
        if ERROR.search(tail(step.log)):
            return State("failed")
        if step.pulse is None and now - logged < YOUNG:
            return State("running", now - logged)
        return State("stopped" if step.pulse is None or lines else "ready")

    def _sidecar(self, step: Step) -> dict[str, Any]:
        """What the job of a cell wrote down about itself; nothing for other steps."""
        if step.cell is None:
            return {}
        payload = step.outputs[-1]
        try:
            when = sidecar_path(payload).stat().st_mtime
            known = self._sidecars.get(payload)
            if known is None or known[0] != when:
                found = read_sidecar(payload)
                kept = {key: found[key] for key in ("code", "seconds", "device") if key in found}
                self._sidecars[payload] = known = (when, kept)
            return known[1]
        except (OSError, GauntletError):  # it appears this moment
            return {}


def tail(log: Path) -> str:
    """The end of a log; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - END))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _says(log: Path) -> str:
    lines = [line for line in tail(log).splitlines() if line.startswith("seed ")]
    return lines[-1] if lines else ""


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
