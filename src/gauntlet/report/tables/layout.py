"""What a table holds before it is CSV, Markdown, LaTeX or HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """Mean and half-width of the 95% interval over ``seeds`` seeds; half_width None for one seed."""

    mean: float
    half_width: float | None
    seeds: int

    def text(self, digits: int = 3, plus_minus: str = " ± ") -> str:
        if self.half_width is None or math.isnan(self.half_width):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f}{plus_minus}{self.half_width:.{digits}f}"


@dataclass(frozen=True)
class Row:
    """``cells`` in the order of the table's columns; None where nothing was measured."""

    keys: tuple[str, ...]
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """Blocks of rows (dataset, setting, architecture) under grouped columns.

    Args:
        heads: names of the row keys (``("method",)``).
        columns: (group, name) pairs; equal neighbouring groups are printed once.
        blocks: block label -> rows.
        digits: decimals per column.
        caption, note: what it shows, and what the numbers are.
        notes: block label -> what holds for its numbers alone, such as the attacks' budgets.
    """

    heads: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    blocks: dict[str, list[Row]]
    digits: tuple[int, ...]
    caption: str = ""
    note: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    scale: str = field(default="")

    def groups(self) -> list[tuple[str, int]]:
        """Neighbouring equal groups with how many columns they span."""
        spans: list[tuple[str, int]] = []
        for group, _ in self.columns:
            if spans and spans[-1][0] == group:
                spans[-1] = (group, spans[-1][1] + 1)
            else:
                spans.append((group, 1))
        return spans
