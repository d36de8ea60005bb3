"""The ablation: what a method's parts contribute, for the deployed ensemble and for its mean member."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.tables.layout import Table
from gauntlet.report.tables.scores import score_table


@register("table", "ablation")
def ablation(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    metrics: list[str] = ("recall@1", "nmi", "f1"),
    attacks: list[str] = ("clean", "worst"),
) -> Table:
    """Rows = variants, each as ensemble and as mean single member; columns = {clean, worst} x metrics."""
    return score_table(
        measurements,
        study,
        metrics=list(metrics),
        methods=methods,
        attacks=list(attacks),
        views=["ensemble", "member"],
    )
