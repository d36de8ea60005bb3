"""Clustering scores against the share of the test images that the attacker perturbs."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.figures.curves import panels
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study


@register("figure", "fraction")
def fraction(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str] = ("nmi", "f1"),
    methods: list[str] | None = None,
):
    """Suite ``fraction`` (0..1) as lines with 95% bands; the point at 0 is the clean score."""
    return panels(measurements, study, ["fraction"], list(metrics), methods)
