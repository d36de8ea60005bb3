"""CIFAR-10H (github.com/jcpeterson/cifar-10h): every label that people gave to CIFAR-10's test images."""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.prepared_crowd import Crowd
from gauntlet.data.readers.rows import labels, records
from gauntlet.data.readers.triples import crowd
from gauntlet.data.registry import CrowdEntry

TABLE = "cifar10h-raw.csv"
LIMIT = 1 << 28  # bytes that the archive may unpack to
ITEM = "cifar10_test_test_idx"
COLUMNS = ("annotator_id", "is_attn_check", "true_category", "chosen_category", ITEM)


@register("reader", "cifar10h")
def read(files: dict[str, Path], entry: CrowdEntry) -> Crowd:
    """All labels but those that check attention. An item is called by its place in CIFAR-10's test batch.

    Raises:
        GauntletError: no such table; a class is none of the registry's; an image has two true classes.
    """
    archive = files["archive"]
    ((_, content),) = stream_members(archive, [TABLE], limit=LIMIT, member_limit=LIMIT)
    table = [row for row in records(content, archive, TABLE, COLUMNS) if row["is_attn_check"] == "0"]
    items = [row[ITEM] for row in table]
    chosen = labels([row["chosen_category"] for row in table], entry.classes, archive, TABLE)
    true = labels([row["true_category"] for row in table], entry.classes, archive, TABLE)
    workers = [row["annotator_id"] for row in table]
    return crowd(zip(items, workers, chosen, strict=True), zip(items, true, strict=True), archive, TABLE)
