"""The one exception that users see: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class GauntletError(Exception):
    """A problem the user can act on. The command line prints it without a traceback and exits with 2.

    Args:
        problem: what is wrong, one sentence.
        file: the file at fault, if there is one.
        key: the key inside that file, dotted (``studies.eat.seeds``).
        remedy: what the user should do.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        key: str | None = None,
        remedy: str | None = None,
    ):
        self.problem, self.file, self.key, self.remedy = problem, file, key, remedy
        where = ": ".join(str(part) for part in (file, key) if part)
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text}\n  remedy: {remedy}" if remedy else text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The remedy for a misspelt name: the closest known one, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}? Known: {', '.join(known)}"
    return f"known: {', '.join(known)}"
