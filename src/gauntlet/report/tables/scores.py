"""Rows of scores per method, shared by the tables."""

from __future__ import annotations

from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, seeds_note, summarise
from gauntlet.report.tables.layout import Cell, Row, Table
from gauntlet.report.vocabulary import ATTACKS, CELL, attack_label


def score_table(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str],
    methods: list[str] | None,
    attacks: list[str] | None,
    views: list[str],
) -> Table:
    """Rows = methods (and views), by block; columns = attack x metric and, where the study's jobs record it,
    the training budget.

    Order of attacks: clean, the others as named in the vocabulary, worst.
    """
    scores = measurements.scores
    rows = scores[(scores["suite"] == "main") & scores["metric"].isin(metrics) & scores["view"].isin(views)]
    found = set(rows["attack"])
    known = [attack for attack in ATTACKS if attack != "worst"]
    order = [*known, *sorted(found - set(ATTACKS)), "worst"]
    attacks = [attack for attack in (attacks or order) if attack in found]
    summary = summarise(rows, [*CELL, "view", "attack", "metric"])
    cells = {
        tuple(row[:-5]): Cell(row.mean, row.half_width, int(row.seeds))
        for row in summary.itertuples(index=False)
    }
    budget = passes(measurements)
    columns = [(attack_label(attack), study.metric_label(metric)) for attack in attacks for metric in metrics]
    chosen = choose(study, rows, methods)
    blocks: dict[str, list[Row]] = {}
    for block in measurements.blocks:
        for method in chosen:
            for view in views:
                at = (*block, method, view)
                line = [cells.get((*at, attack, metric)) for attack in attacks for metric in metrics]
                if any(line):
                    label = study.label(method) + (", mean member" if view == "member" else "")
                    row = Row((label,), (*line, *([budget.get((*block, method))] if budget else [])))
                    blocks.setdefault(study.block_label(*block), []).append(row)
    return Table(
        heads=("method",),
        columns=(*columns, *([("training", "passes per image")] if budget else [])),
        blocks=blocks,
        digits=(*[3] * len(columns), *([1] if budget else [])),
        note=f"Mean ± half-width of the 95% t interval over {seeds_note(summary)}.",
        scale=measurements.scale,
    )


def passes(measurements: Measurements) -> dict[tuple[str, ...], Cell]:
    """Forward-backward passes per training image, all members together: the budget of each method."""
    final = measurements.training.groupby([*CELL, "seed"], as_index=False)["passes"].max()
    return {
        tuple(row[:-5]): Cell(row.mean, row.half_width if row.half_width > 1e-9 else None, int(row.seeds))
        for row in summarise(final, CELL, value="passes").itertuples(index=False)
    }
