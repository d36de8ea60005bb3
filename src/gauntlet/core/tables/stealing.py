"""What stealing a model writes: the substitute by queries asked, what the target answered, and some of the
last queries as PNG images in base 64."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "progress": {
        "seed": "int64",
        "queries": "int64",
        "accuracy": "float64",
        "agreement": "float64",
        "substitute_loss": "float64",
        "generator_loss": "float64",
    },
    "answers": {
        "seed": "int64",
        "queries": "int64",
        "label": "int64",
        "count": "int64",
    },
    "samples": {
        "seed": "int64",
        "index": "int64",
        "label": "int64",
        "png": "str",
    },
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "progress": ["seed", "queries"],
    "answers": ["seed", "queries", "label"],
    "samples": ["seed", "index"],
}
