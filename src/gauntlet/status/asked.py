"""``gauntlet status``: where a run stands, asked from outside."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from gauntlet.core.config import load_yaml
from gauntlet.plan import make_plan
from gauntlet.status import run as runs
from gauntlet.status.summary import Summary
from gauntlet.status.view import explain, render
from gauntlet.status.watch import Observer, until

#: The scale that everything else begins with too.
DEFAULT = Path("config/mini.yaml")


def run(config: Path | None, study: str | None, *, watch: bool, as_json: bool) -> None:
    """Print where a run stands: that of ``config``, or the one that was begun last.

    Raises:
        GauntletError: the configuration is wrong, or has no such study.
    """
    last = runs.last() or {}
    file = config or Path(last.get("config") or DEFAULT)
    plan = make_plan(load_yaml(file) | ({"study": study} if study else {}), file=file)
    rerun = partial(
        runs.rerun,
        config=file,
        cores=last.get("cores"),
        profile=last.get("profile"),
        overrides=[f"study={study}"] if study else [],
    )
    observer, console = Observer(plan, rerun, slots=None), Console()
    if watch and not as_json:
        try:
            summary = until(observer, console, _pause)
        except KeyboardInterrupt:
            summary = observer()
    else:
        summary = observer()
    if as_json:
        print(json.dumps(summary.plain(), indent=1))
        return
    console.print(render(summary))
    for failure in summary.failures:
        console.print("", *explain(failure), sep="\n", markup=False, highlight=False, soft_wrap=True)


def _pause(summary: Summary, seconds: float) -> bool:
    if not summary.done:
        time.sleep(seconds)
    return summary.done
