"""Rows of the text files in which publishers list their photos, their labels and so on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
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
    lines = _lines(content, file, key)
    for number, line in enumerate(lines, 1):
        parts = line.split(maxsplit=fields - 1)
        if len(parts) == fields:
            found.append([part.strip() for part in parts])
        elif parts:
            raise not_a_list(file, key, f"line {number} has {len(parts)} fields, not {fields}")
    return found


def records(
    content: bytes, file: Path, key: str, columns: Sequence[str], delimiter: str = ","
) -> list[dict[str, str]]:
    """The lines below a header as mappings from its columns, all of which are given.

    Args:
        content: of the text file ``key``, a member of the archive ``file`` or ``file`` itself.
        columns: those that there must be.

    Raises:
        GauntletError: not UTF-8; a column is missing; a line has fewer or more fields than the header.
    """
    reader = csv.DictReader(_lines(content, file, key), delimiter=delimiter, strict=True)
    try:
        if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
            raise not_a_list(file, key, f"its first line does not name a column {missing[0]}")
        found = []
        for record in reader:
            if None in record or None in record.values():
                problem = (
                    f"line {reader.line_num} does not have the {len(reader.fieldnames)} fields of the first"
                )
                raise not_a_list(file, key, problem)
            found.append(record)
    except csv.Error as error:
        raise not_a_list(file, key, str(error)) from error
    return found


def labels(values: Sequence[str], classes: Sequence[str], file: Path, key: str) -> list[int]:
    """The label of each class name. Raises GauntletError for a name that is none of ``classes``."""
    label = {name: place for place, name in enumerate(classes)}
    if unknown := set(values) - set(label):
        raise not_a_list(file, key, f"the class {min(unknown)!r} is unknown")
    return [label[value] for value in values]


def _lines(content: bytes, file: Path, key: str) -> list[str]:
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise not_a_list(file, key, f"not text ({error})") from error


def numbers(values: list[str], file: Path, key: str) -> list[int]:
    """Whole numbers. Raises GauntletError for anything else."""
    try:
        return [int(value) for value in values]
    except ValueError as error:
        raise not_a_list(file, key, str(error)) from error


def not_a_list(file: Path, key: str, problem: str) -> GauntletError:
    """The error for a list that is not what the publisher's is."""
    return GauntletError(problem, file=file, key=key, remedy="fetch the file again")
