"""A block of seeds, as configuration and file names write it."""

from __future__ import annotations


def seeds_of(block: str) -> list[int]:
    """Seeds of a block: ``"0-4"`` -> 0..4, ``"3"`` -> 3, ``""`` -> none."""
    if not block:
        return []
    first, _, last = block.partition("-")
    return list(range(int(first), int(last or first) + 1))
