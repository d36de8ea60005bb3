"""The tables of UCI in scikit-learn's package: iris, wine, breast cancer.

The first line has the number of rows, the number of features and the names of the classes; a line below has
the features of one row, then its label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.readers.order import for_testing
from gauntlet.data.registry import TableEntry


@register("reader", "sklearn_csv")
def read(files: dict[str, Path], entry: TableEntry) -> dict[str, np.ndarray]:
    """Features float64 (n, d) and labels (n,); every fifth row of a class is for testing.

    Raises:
        GauntletError: the first line is not that of this table; a line below is not numbers, as many as there
            are features, and an integer.
    """
    path = files["table"]

    def refuse(problem: object) -> GauntletError:
        return GauntletError(
            f"not the table of {entry.name} ({problem})", file=path, remedy="fetch the file again"
        )

    try:
        with open(path, encoding="utf-8") as file:
            header = file.readline().strip().split(",")
            table = np.loadtxt(file, delimiter=",", ndmin=2)
    except ValueError as error:
        raise refuse(error) from error
    rows, features = len(table), len(entry.features)
    if header != (expected := [str(rows), str(features), *entry.classes]):
        raise refuse(f"its first line is {','.join(header)}, not {','.join(expected)}")
    if table.shape[1] != features + 1:
        raise refuse(f"{table.shape[1]} columns, not {features} features and a label")
    labels = table[:, -1].astype(np.int64)
    if (labels != table[:, -1]).any():
        raise refuse("a label is not an integer")
    test = for_testing(labels)
    return {
        "train_features": table[~test, :-1],
        "train_labels": labels[~test],
        "test_features": table[test, :-1],
        "test_labels": labels[test],
    }
