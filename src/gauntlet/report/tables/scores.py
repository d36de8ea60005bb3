"""Rows of scores per method, shared by the tables."""

from __future__ import annotations

from gauntlet.report import budgets
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, seeds_note, summarise
from gauntlet.report.tables.layout import Cell, Row, Table
from gauntlet.report.vocabulary import ATTACKS, BLOCK, CELL, DATASETS


def score_table(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str],
    methods: list[str] | None,
    attacks: list[str] | None,
    views: list[str],
    average: bool = False,
) -> Table:
    """Rows = methods (and views), by block; columns = attack x metric and, where the study's jobs record it,
    the training budget. A block's note has the budgets of its attacks.

    Order of attacks: clean, the others as named in the vocabulary, worst. Metrics that none has are left out.

    Args:
        average: add the mean over datasets, seed by seed, of the methods that all of them have.
    """
    import pandas as pd

    scores = measurements.scores
    rows = scores[(scores["suite"] == "main") & scores["metric"].isin(metrics) & scores["view"].isin(views)]
    found = set(rows["attack"])
    known = [attack for attack in (*ATTACKS, *study.attacks) if attack != "worst"]
    order = [*known, *sorted(found - {*known, "worst"}), "worst"]
    attacks = [attack for attack in (attacks or order) if attack in found]
    measured = set(rows["metric"])
    metrics = [metric for metric in metrics if metric in measured]
    wholes = measurements.blocks
    if average:
        means = over_datasets(rows)
        rows = pd.concat([rows, means])
        wholes = [*wholes, *sorted(set(means[BLOCK].itertuples(index=False, name=None)))]
    summary = summarise(rows, [*CELL, "view", "attack", "metric"])
    cells = {
        tuple(row[:-5]): Cell(row.mean, row.half_width, int(row.seeds))
        for row in summary.itertuples(index=False)
    }
    budget = passes(measurements)
    columns = [
        (study.attack_label(attack), study.metric_label(metric)) for attack in attacks for metric in metrics
    ]
    chosen = choose(study, rows, methods)
    blocks: dict[str, list[Row]] = {}
    notes: dict[str, str] = {}
    for block in wholes:
        where = study.block_label(*block)
        notes[where] = _note(measurements, block, attacks)
        for method in chosen:
            for view in views:
                at = (*block, method, view)
                line = [cells.get((*at, attack, metric)) for attack in attacks for metric in metrics]
                if any(line):
                    label = study.label(method) + (", mean member" if view == "member" else "")
                    spent = [budget.get((*block, method))] if budget else []
                    row = Row((label,), (*line, *spent), (*block, method))
                    blocks.setdefault(where, []).append(row)
    return Table(
        heads=("method",),
        columns=(*columns, *([("training", "passes per image")] if budget else [])),
        blocks=blocks,
        digits=(*[3] * len(columns), *([1] if budget else [])),
        note=f"Mean ± half-width of the 95% t interval over {seeds_note(summary)}.",
        notes={where: note for where, note in notes.items() if where in blocks and note},
        scale=measurements.scale,
    )


def _note(measurements: Measurements, block: tuple[str, str, str], attacks: list[str]) -> str:
    """The attacks' budgets, or for the dataset ``all`` what the means are over."""
    if block[0] != "all":
        return budgets.note(measurements, block, attacks)
    over = [DATASETS.get(name, name) for name, *rest in measurements.blocks if rest == list(block[1:])]
    return f"Means over {', '.join(over)}, seed by seed, each with its own budgets."


def over_datasets(rows):
    """Rows of the dataset ``all``: means over the datasets of a setting and architecture, seed by seed, of
    what every one of them has; none where there is but one.

    Args:
        rows: scores with ``CELL``, seed, view, attack, metric, value; at most one per combination.
    """
    keys = [*CELL[1:], "seed", "view", "attack", "metric"]
    datasets = rows.groupby(BLOCK[1:])["dataset"].transform("nunique")
    means = rows[datasets > 1].assign(datasets=datasets)
    means = means.groupby(keys, as_index=False).agg(
        value=("value", "mean"), measured=("value", "count"), datasets=("datasets", "first")
    )
    return means[means["measured"] == means["datasets"]].assign(dataset="all")[[*CELL, *keys[3:], "value"]]


def passes(measurements: Measurements) -> dict[tuple[str, ...], Cell]:
    """Forward-backward passes per training image, all members together: the budget of each method."""
    final = measurements.training.groupby([*CELL, "seed"], as_index=False)["passes"].max()
    return {
        tuple(row[:-5]): Cell(row.mean, row.half_width if row.half_width > 1e-9 else None, int(row.seeds))
        for row in summarise(final, CELL, value="passes").itertuples(index=False)
    }
