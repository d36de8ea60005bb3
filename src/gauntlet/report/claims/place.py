"""What one block of results has, and what it lacks, for a claim's comparisons."""

from __future__ import annotations

from gauntlet.core.blocks import seeds_of
from gauntlet.report.claims.comparisons import Selection
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.vocabulary import BLOCK


class Place:
    """The measurements of one dataset, setting and architecture.

    Attributes:
        numbers: rows of suite, attack, metric ... per method and seed: scores and costs.
        holes: its cells that were asked for and have no result.
    """

    def __init__(self, measurements: Measurements, block: tuple[str, str, str]):
        def here(cells):
            return [cell for cell in cells if tuple(cell[key] for key in BLOCK) == block]

        self.numbers = where(measurements.numbers, block)
        self.sanity = where(measurements.sanity, block)
        self.holes = here(measurements.missing)
        self._ran = {cell["method"] for cell in here(measurements.manifest["cells"])}

    def ran(self, method: str) -> bool:
        return method in self._ran

    def planned(self, method: str) -> bool:
        """Whether the method was to be measured here: it was, or it failed to be."""
        return self.ran(method) or any(hole["method"] == method for hole in self.holes)

    def lost_seeds(self, method: str) -> set[int]:
        blocks = [str(hole.get("block", "")) for hole in self.holes if hole["method"] == method]
        return {seed for block in blocks for seed in seeds_of(block)}

    def failed_checks(self, side: Selection) -> list[tuple[str, str]]:
        """(check, attack) of the failed sanity checks that bear on a number; a clean score has none."""
        if side.attack == "clean" or side.suite == "cost":
            return []
        rows = self.sanity[(self.sanity["method"] == side.method) & ~self.sanity["passed"]]
        if side.attack not in (None, "worst"):
            rows = rows[rows["attack"].isin([side.attack, ""])]
        return sorted(set(zip(rows["check"], rows["attack"], strict=True)))
