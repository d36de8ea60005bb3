"""Crowdsourced labels as two tables: ``label.csv`` (item, worker, label) and ``truth.csv`` (item, truth).

So are the sets of github.com/yuan-li/truth-inference-at-scale.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.prepared_crowd import Crowd
from gauntlet.data.readers.rows import labels, records
from gauntlet.data.readers.triples import crowd
from gauntlet.data.registry import CrowdEntry


@register("reader", "label_csv")
def read(files: dict[str, Path], entry: CrowdEntry) -> Crowd:
    """All labels, in the file's order.

    Raises:
        GauntletError: a file is no such table; a class is none of the registry's; an item has two true
            classes.
    """
    given, known = files["labels"], files["truth"]
    table = records(given.read_bytes(), given, "", ("item", "worker", "label"))
    chosen = labels([row["label"] for row in table], entry.classes, given, "")
    gold = records(known.read_bytes(), known, "", ("item", "truth"))
    truth = labels([row["truth"] for row in gold], entry.classes, known, "")
    return crowd(
        [(row["item"], row["worker"], label) for row, label in zip(table, chosen, strict=True)],
        [(row["item"], label) for row, label in zip(gold, truth, strict=True)],
        known,
    )
