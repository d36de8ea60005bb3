"""What attacks on membership write beside their scores: curves of true and false positive rates."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "roc": {"seed": "int64", "attack": "str", "fpr": "float64", "tpr": "float64"},
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {"roc": ["seed", "attack", "fpr"]}
