"""What methods cost, relative to one of them, with the paper's ratios beside ours."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, seeds_note, summarise
from gauntlet.report.tables.layout import Cell, Row, Table
from gauntlet.report.vocabulary import BLOCK, CELL


@register("table", "relative_costs")
def relative_costs(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str],
    reference: str,
    methods: list[str] | None = None,
    settings: list[str] | None = None,
    paper: dict[str, list[float]] | None = None,
    paper_columns: list[str] = (),
) -> Table:
    """Rows = methods, columns = each cost over the reference's of the same seed; a block per block.

    Args:
        metrics: of the jobs' costs per seed.
        reference: the method that costs 1.
        paper: method -> the paper's ratios, one per entry of ``paper_columns``.
    """
    costs = measurements.costs
    costs = costs[costs["metric"].isin(metrics)]
    if settings is not None:
        costs = costs[costs["setting"].isin(settings)]
    own = costs.loc[costs["method"] == reference, [*BLOCK, "seed", "metric", "value"]]
    rows = costs.merge(own, on=[*BLOCK, "seed", "metric"], suffixes=("", "_own"))
    rows = rows.assign(value=rows["value"] / rows["value_own"])
    summary = summarise(rows, [*CELL, "metric"])
    cells = {
        tuple(row[:5]): Cell(row.mean, row.half_width if row.method != reference else None, int(row.seeds))
        for row in summary.itertuples(index=False)
    }
    blocks: dict[str, list[Row]] = {}
    for block in sorted(set(rows[BLOCK].itertuples(index=False, name=None))):
        for method in choose(study, rows, methods):
            line = [cells.get((*block, method, metric)) for metric in metrics]
            if any(line):
                theirs = [Cell(float(value), None, 0) for value in (paper or {}).get(method, ())]
                theirs += [None] * (len(paper_columns) - len(theirs))
                row = Row((study.label(method),), (*line, *theirs), (*block, method))
                blocks.setdefault(study.block_label(*block), []).append(row)
    return Table(
        heads=("method",),
        columns=(
            *((f"relative to {study.label(reference)}", study.metric_label(metric)) for metric in metrics),
            *(("the paper", column) for column in paper_columns),
        ),
        blocks=blocks,
        digits=(2,) * (len(metrics) + len(paper_columns)),
        note=f"Medians over rounds; mean \N{PLUS-MINUS SIGN} half-width of the 95% t interval over "
        f"{seeds_note(summary)}.",
        scale=measurements.scale,
    )
