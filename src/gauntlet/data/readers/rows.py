"""Rows of the text files in which publishers list their photos."""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.errors import GauntletError


def rows(content: bytes, file: Path, key: str, fields: int) -> list[list[str]]:
    """The lines' fields, split at blanks; the last field keeps its blanks. Empty lines are passed over.

    Args:
        content: of the text file ``key``, a member of the archive ``file`` or ``file`` itself.

    Raises:
        GauntletError: not UTF-8; a line has fewer fields.
    """
    found = []
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise not_a_list(file, key, f"not text ({error})") from error
    for number, line in enumerate(lines, 1):
        parts = line.split(maxsplit=fields - 1)
        if len(parts) == fields:
            found.append([part.strip() for part in parts])
        elif parts:
            raise not_a_list(file, key, f"line {number} has {len(parts)} fields, not {fields}")
    return found


def numbers(values: list[str], file: Path, key: str) -> list[int]:
    """Whole numbers. Raises GauntletError for anything else."""
    try:
        return [int(value) for value in values]
    except ValueError as error:
        raise not_a_list(file, key, str(error)) from error


def not_a_list(file: Path, key: str, problem: str) -> GauntletError:
    """The error for a list that is not what the publisher's is."""
    return GauntletError(problem, file=file, key=key, remedy="fetch the file again")
