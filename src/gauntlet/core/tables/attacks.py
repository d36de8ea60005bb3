"""What attack jobs write: scores, the outcome per example, and their sanity suite."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "scores": {
        "seed": "int64",
        "suite": "str",
        "attack": "str",
        "eps": "float64",
        "steps": "int64",
        "fraction": "float64",
        "view": "str",
        "detail": "str",
        "metric": "str",
        "value": "float64",
    },
    "examples": {
        "seed": "int64",
        "attack": "str",
        "index": "int64",
        "label": "int64",
        "hit": "bool",
        "cluster": "int64",
    },
    "projections": {
        "seed": "int64",
        "attack": "str",
        "index": "int64",
        "label": "int64",
        "x": "float64",
        "y": "float64",
    },
    "sanity": {
        "seed": "int64",
        "attack": "str",
        "check": "str",
        "metric": "str",
        "value": "float64",
        "bound": "float64",
        "passed": "bool",
    },
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "scores": ["seed", "suite", "attack", "eps", "steps", "fraction", "view", "detail", "metric"],
    "examples": ["seed", "attack", "index"],
    "projections": ["seed", "attack", "index"],
    "sanity": ["seed", "attack", "check", "metric"],
}
