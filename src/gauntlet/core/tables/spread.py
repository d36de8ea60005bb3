"""What training of embeddings writes beside its loss: how far the embeddings are apart."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "spread": {"seed": "int64", "epoch": "int64", "member": "int64", "distance": "float64"},
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {"spread": ["seed", "epoch", "member"]}
