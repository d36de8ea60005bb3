"""What ``gauntlet trace`` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json
from gauntlet.report.provenance import printed
from gauntlet.report.provenance import trace as tracing

#: Where the rule ``track`` says what MLflow has.
TRACKED = Path("results/tracking")


def trace(
    target: str,
    where: Sequence[str],
    *,
    folder: Path | None,
    config: Path | None,
    as_json: bool,
    rows: tracing.Rows,
) -> str:
    """The chain behind ``target`` as text or JSON; see ``provenance.trace.trace``.

    Args:
        where: ``column=value`` each.
    """
    chosen = {}
    for entry in where:
        column, equals, value = entry.partition("=")
        if not equals:
            raise GauntletError(f"what is {entry!r}?", remedy="write COLUMN=VALUE, such as method=at")
        chosen[column] = value
    chain = tracing.trace(target, chosen, folder=folder, config=config, rows=rows)
    if as_json:
        return json.dumps(asdict(chain), indent=2, default=lambda number: number.item())
    summary = TRACKED / f"{chain.scale}.json"
    tracked = summary.is_file() and chain.study in read_json(summary)
    return printed.text(chain, tracked)
