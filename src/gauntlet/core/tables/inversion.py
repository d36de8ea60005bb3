"""What gradient inversion finds: how close every image is, and some of them as PNG images in base 64."""

from __future__ import annotations

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "reconstructions": {
        "seed": "int64",
        "attack": "str",
        "target": "int64",
        "index": "int64",
        "label": "int64",
        "found": "int64",
        "mse": "float64",
        "psnr": "float64",
        "ssim": "float64",
        "cost": "float64",
    },
    "pictures": {
        "seed": "int64",
        "attack": "str",
        "target": "int64",
        "index": "int64",
        "label": "int64",
        "png": "str",
    },
}

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "reconstructions": ["seed", "attack", "target", "index"],
    "pictures": ["seed", "attack", "target", "index"],
}
