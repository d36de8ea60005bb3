"""Any metrics side by side, with the paper's numbers beside ours."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, seeds_note, summarise
from gauntlet.report.tables.layout import Cell, Row, Table
from gauntlet.report.vocabulary import CELL


@register("table", "metrics")
def metrics(
    measurements: Measurements,
    study: Study,
    *,
    metrics: dict[str, int],
    suite: str = "main",
    attack: str | None = None,
    methods: list[str] | None = None,
    settings: list[str] | None = None,
    paper: dict[str, dict[str, list[float]]] | None = None,
    paper_columns: list[str] = (),
) -> Table:
    """Rows = methods, columns = metrics of the main suite, a block per dataset, setting, architecture.

    Args:
        metrics: metric -> decimals.
        suite: another suite, or ``cost`` for what the jobs measured of their own cost.
        attack: under which the metrics are; where only one has them it may be absent.
        paper: dataset -> method -> the paper's numbers, one per entry of ``paper_columns``; shown in blocks
            of that dataset. They are the paper's own, whatever our scale.
        paper_columns: what those numbers are.
    """
    scores = measurements.numbers
    rows = scores[(scores["suite"] == suite) & scores["metric"].isin(list(metrics))]
    if attack is not None:
        rows = rows[rows["attack"] == attack]
    if settings is not None:
        rows = rows[rows["setting"].isin(settings)]
    summary = summarise(rows, [*CELL, "metric"])
    cells = {tuple(row[:5]): _cell(row) for row in summary.itertuples(index=False)}
    chosen = choose(study, rows, methods)
    blocks: dict[str, list[Row]] = {}
    for block in sorted(set(rows[CELL[:-1]].itertuples(index=False, name=None))):
        published = (paper or {}).get(block[0], {})
        for method in chosen:
            line = [cells.get((*block, method, metric)) for metric in metrics]
            if any(line):
                theirs = [Cell(float(value), None, 0) for value in published.get(method, ())]
                theirs += [None] * (len(paper_columns) - len(theirs))
                row = Row((study.label(method),), (*line, *theirs), (*block, method))
                blocks.setdefault(study.block_label(*block), []).append(row)
    return Table(
        heads=("method",),
        columns=(
            *(("measured", study.metric_label(metric)) for metric in metrics),
            *(("the paper", column) for column in paper_columns),
        ),
        blocks=blocks,
        digits=(*metrics.values(), *[1] * len(paper_columns)),
        note=f"Mean \N{PLUS-MINUS SIGN} half-width of the 95% t interval over {seeds_note(summary)}.",
        scale=measurements.scale,
    )


def _cell(row) -> Cell:
    return Cell(row.mean, row.half_width, int(row.seeds))
