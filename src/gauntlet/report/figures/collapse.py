"""How far embeddings are apart during training: a collapsed network puts all images in one place."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.figures.curves import COLUMNS, lines
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, summarise
from gauntlet.report.vocabulary import CELL


@register("figure", "collapse")
def collapse(measurements: Measurements, study: Study, *, methods: list[str] | None = None):
    """Mean distance of training images after every epoch, over the members, as lines with 95% bands."""
    rows = measurements.spread
    rows = rows[rows["method"].isin(choose(study, rows, methods))]
    rows = rows.groupby([*CELL, "seed", "epoch"], as_index=False)["distance"].mean()
    rows = rows.assign(metric="distance", sweep="epoch", x=rows["epoch"] + 1.0, value=rows["distance"])
    frame = summarise(rows, [*CELL, "metric", "sweep", "x"])[COLUMNS]
    missing = "No distances during training were measured."
    return lines(measurements, study, frame, [("epoch", "distance")], methods, missing=missing)
