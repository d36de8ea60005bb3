"""What a table holds before it is CSV, Markdown, LaTeX or HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace


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
    """``cells`` in the order of the table's columns; None where nothing was measured.

    ``source``: dataset, setting, architecture and method that were measured.
    """

    keys: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    source: tuple[str, ...] = ()


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

    def parts(self) -> list[Table]:
        """The same as tables of neighbouring blocks that have the same columns: what no row of a block has is
        left out there."""
        found: list[tuple[tuple[int, ...], dict[str, list[Row]]]] = []
        for block, rows in self.blocks.items():
            used = tuple(at for at in range(len(self.columns)) if any(row.cells[at] for row in rows))
            if not found or found[-1][0] != used:
                found.append((used, {}))
            found[-1][1][block] = rows
        return [self._narrow(used, blocks) for used, blocks in found] or [self]

    def _narrow(self, used: tuple[int, ...], blocks: dict[str, list[Row]]) -> Table:
        def pick(values: tuple) -> tuple:
            return tuple(values[at] for at in used)

        rows = {
            block: [replace(row, cells=pick(row.cells)) for row in of_block]
            for block, of_block in blocks.items()
        }
        return replace(self, columns=pick(self.columns), digits=pick(self.digits), blocks=rows)
