"""What ``gauntlet trace`` and ``gauntlet verify`` print."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json
from gauntlet.report.provenance import printed
from gauntlet.report.provenance import trace as tracing
from gauntlet.report.provenance import verify as verifying

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
    tracked = read_json(summary).get(chain.study, {}) if summary.is_file() else {}
    return printed.text(chain, tracked.get("runs", {}))


def verify(what: Collection[str], progress: Callable[[list[Path]], Iterable[Path]]) -> tuple[str, bool]:
    """What ``provenance.verify.verify`` found, a line per file and one for all; and whether all is well."""
    checked = verifying.verify(what, progress)
    lines = [
        f"{name:<10} {line}"
        for name in ("altered", "missing", "uncovered")
        for line in getattr(checked, name)
    ]
    lines.append(
        f"{checked.hashed} files hashed: {len(checked.altered)} do not match, {len(checked.missing)} missing,"
        f" {len(checked.uncovered)} not covered; {checked.elsewhere} that others were made from are not here"
    )
    return "\n".join(lines), checked.well
