"""What federated training writes: the global model per round, who was picked, who owns what, and
what was exchanged."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "rounds": {
        "seed": "int64",
        "round": "int64",
        "label": "int64",
        "total": "int64",
        "correct": "int64",
        "loss": "float64",
    },
    "picks": {
        "seed": "int64",
        "round": "int64",
        "client": "int64",
        "picked": "bool",
        "used": "bool",
        "samples": "int64",
        "weight": "float64",
        "loss": "float64",
        "shapley_accuracy": "float64",
        "shapley_loss": "float64",
        "influence_accuracy": "float64",
        "influence_loss": "float64",
    },
    "clients": {
        "seed": "int64",
        "client": "int64",
        "label": "int64",
        "samples": "int64",
        "maverick": "bool",
    },
    "exchange": {
        "seed": "int64",
        "round": "int64",
        "up_bytes": "int64",
        "down_bytes": "int64",
        "epsilon": "float64",
    },
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "rounds": ["seed", "round", "label"],
    "picks": ["seed", "round", "client"],
    "clients": ["seed", "client", "label"],
    "exchange": ["seed", "round"],
}
