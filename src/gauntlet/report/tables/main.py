"""The main table: every method, clean and under every attack, with the training budget."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.tables.layout import Table
from gauntlet.report.tables.scores import score_table


@register("table", "main")
def main(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str] = ("recall@1", "nmi", "f1"),
    methods: list[str] | None = None,
    attacks: list[str] | None = None,
    average: bool = False,
) -> Table:
    """Rows = methods, columns = {clean, each attack, worst} x metrics and passes per training image.

    Args:
        average: also the mean over datasets.
    """
    return score_table(
        measurements,
        study,
        metrics=list(metrics),
        methods=methods,
        attacks=attacks,
        views=["ensemble"],
        average=average,
    )
