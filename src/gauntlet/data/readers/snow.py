"""The annotations of Snow et al. (2008): tab-separated, a line per label, with the true class of its item."""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.prepared_crowd import Crowd
from gauntlet.data.readers.rows import labels, records
from gauntlet.data.readers.triples import crowd
from gauntlet.data.registry import CrowdEntry

ITEM, WORKER = "orig_id", "!amt_worker_ids"


@register("reader", "snow")
def read(files: dict[str, Path], entry: CrowdEntry) -> Crowd:
    """All labels, in the file's order.

    Raises:
        GauntletError: no such table; a class is none of the registry's; an item has two true classes.
    """
    path = files["table"]
    table = records(path.read_bytes(), path, "", (WORKER, ITEM, "response", "gold"), delimiter="\t")
    chosen = labels([row["response"] for row in table], entry.classes, path, "")
    true = labels([row["gold"] for row in table], entry.classes, path, "")
    items = [row[ITEM] for row in table]
    workers = [row[WORKER] for row in table]
    return crowd(zip(items, workers, chosen, strict=True), zip(items, true, strict=True), path)
