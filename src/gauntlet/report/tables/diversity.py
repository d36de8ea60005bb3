"""How different the members of an ensemble are: transfer of attacks between them, and their gradients."""

from __future__ import annotations

import pandas as pd

from gauntlet.core.registry import register
from gauntlet.report.claims.comparisons import Selection, per_seed
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.tables.layout import Cell, Row, Table
from gauntlet.report.vocabulary import CELL

#: What is read of suite ``transfer``: (metric, detail as claims name it) -> the column's name.
COLUMNS = {
    ("recall@1", "diagonal"): "attack on itself",
    ("recall@1", "off_diagonal"): "on another",
    ("recall@1", "gap"): "gap",
    ("gradient_cosine", ""): "cosine",
}


@register("table", "diversity")
def diversity(measurements: Measurements, study: Study, *, methods: list[str] | None = None) -> Table:
    """Rows = ensembles, columns = R@1 of a member under attacks on itself and on another, their gap, and the
    mean cosine of the members' input gradients; a block per dataset, setting, architecture."""
    rows = where(measurements.scores, suite="transfer")
    chosen = choose(study, rows, methods)
    found = [
        (*block, method, name, value)
        for block in blocks(rows)
        for method in chosen
        for (metric, detail), name in COLUMNS.items()
        for value in per_seed(where(rows, block), Selection(method, metric, suite="transfer", detail=detail))
    ]
    summary = summarise(pd.DataFrame(found, columns=[*CELL, "name", "value"]), [*CELL, "name"])
    cells = {
        tuple(row[:5]): Cell(row.mean, row.half_width, int(row.seeds))
        for row in summary.itertuples(index=False)
    }
    shown: dict[str, list[Row]] = {}
    for block in blocks(rows):
        for method in chosen:
            line = tuple(cells.get((*block, method, name)) for name in COLUMNS.values())
            if any(line):
                row = Row((study.label(method),), line, (*block, method))
                shown.setdefault(study.block_label(*block), []).append(row)
    return Table(
        heads=("method",),
        columns=(
            *((study.metric_label("recall@1") + " of a member", name) for name in list(COLUMNS.values())[:3]),
            ("input gradients", "cosine"),
        ),
        blocks=shown,
        digits=(3,) * len(COLUMNS),
        note=f"Mean ± half-width of the 95% t interval over {seeds_note(summary)}.",
        scale=measurements.scale,
    )
