"""Planned against spent: every finished run, planned from all others alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gauntlet.costs.rates import Interval, Measured, Rates


class Comparison(NamedTuple):
    """Seconds that the jobs of one step were planned to take, and took; start-up is in neither.

    ``jobs`` were planned; ``unplanned`` ran too, and nobody had measured their like elsewhere.
    """

    step: str
    jobs: int
    planned: Interval
    spent: float
    unplanned: int

    @property
    def ratio(self) -> float:
        """Planned over spent."""
        return self.planned.middle / self.spent


def compare(found: Iterable[Measured], folder: Path) -> list[Comparison]:
    """The run whose manifest is in ``folder``, per step and device, planned from the jobs of other studies
    and scales on that device."""
    found = list(found)
    own = [one for one in found if one.folder == folder]
    if not own:
        return []
    same = (own[0].study, own[0].scale)
    others = [one for one in found if (one.study, one.scale) != same]
    rows = []
    for step in ("train", "attack"):
        for device in sorted({one.device for one in own if one.job.step == step}):
            rates = Rates([one for one in others if one.device == device])
            ran = [one for one in own if (one.job.step, one.device) == (step, device)]
            known = [(took, one.seconds) for one in ran if (took := rates.seconds(one.job)) is not None]
            planned = Interval(*(float(sum(took[at] for took, _ in known)) for at in range(3)))
            spent = float(sum(seconds for _, seconds in known))
            rows.append(Comparison(step, len(known), planned, spent, len(ran) - len(known)))
    return rows


def accuracy(found: Iterable[Measured]) -> list[Comparison]:
    """``compare`` of every run, without the steps that nothing else tells of."""
    found = list(found)
    folders = sorted({one.folder for one in found})
    return [row for folder in folders for row in compare(found, folder) if row.jobs]
