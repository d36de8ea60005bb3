"""What a classifier makes of every image, clean and under every attack."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "predictions": {
        "seed": "int64",
        "attack": "str",
        "index": "int64",
        "label": "int64",
        "predicted": "int64",
        "confidence": "float64",
        "distance": "float64",
    },
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "predictions": ["seed", "attack", "index"],
}
