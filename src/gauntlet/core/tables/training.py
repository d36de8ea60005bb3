"""What every training job writes: its loss curve and what it cost."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "training": {
        "seed": "int64",
        "epoch": "int64",
        "member": "int64",
        "loss": "float64",
        "passes": "float64",
    },
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "training": ["seed", "epoch", "member"],
}
