"""Robustness against the attack's budget and number of steps (a monotone fall: no masking)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.figures.curves import panels
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study


@register("figure", "budget")
def budget(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str] = ("nmi", "f1"),
    methods: list[str] | None = None,
    sweeps: list[str] = ("eps", "steps"),
):
    """Suites ``eps`` and ``steps`` as lines with 95% bands, a row of panels per block."""
    return panels(measurements, study, list(sweeps), list(metrics), methods)
