"""A run's state on a terminal, or as plain lines for a log."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gauntlet.status.summary import Failure, Stage, Summary

#: Running and failed steps that are listed; of the others there is a count.
MOST = 8


def render(summary: Summary) -> RenderableType:
    """Everything, for a terminal of any width."""
    parts: list[RenderableType] = [Text(headline(summary), style="bold"), _stages(summary)]
    if summary.running:
        parts.append(_running(summary))
    if summary.failures:
        parts.append(_failed(summary))
    return Group(*parts)


def headline(summary: Summary) -> str:
    """``mini: 41 of 80 trials, 2 at work, about 6 min left``"""
    words = [f"{summary.trials_done} of {summary.trials} trials"]
    if summary.running:
        words.append(f"{len(summary.running)} at work")
    if summary.failures:
        words.append(f"{len(summary.failures)} failed")
    if summary.done:
        words.append("all done")
    elif summary.left is not None and summary.trials_done < summary.trials:
        more = f", and {summary.unknown} jobs that were never measured" if summary.unknown else ""
        words.append(f"about {duration(summary.left)} of jobs left{more}")
    return f"{summary.scale}: {', '.join(words)}"


def stage_line(name: str, stage: Stage) -> str:
    """``train 12 of 40, 2 at work, 1 failed``"""
    words = [f"{name} {stage.done} of {stage.steps}"]
    words += [f"{stage.running} at work"] if stage.running else []
    words += [f"{stage.failed} failed"] if stage.failed else []
    return ", ".join(words)


def explain(failure: Failure) -> list[str]:
    """Which step failed, the end of its log, and the command that runs it again; plain lines."""
    word = "FAILED" if failure.state == "failed" else "ENDED EARLY"
    return [
        f"{word} {failure.title}: {failure.log}",
        *(f"  | {line}" for line in failure.lines),
        f"  rerun: {failure.rerun}",
    ]


def duration(seconds: float) -> str:
    """``45 s``, ``6 min``, ``2 h 05 min``"""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _stages(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=8)
    table.add_column(width=30)
    table.add_column(justify="right")
    table.add_column()
    for name, stage in summary.stages.items():
        style = "red" if stage.failed else "green"
        bar = ProgressBar(stage.steps, stage.done, width=30, complete_style=style, finished_style=style)
        rest = [f"{stage.running} at work"] if stage.running else []
        rest += [f"[red]{stage.failed} failed[/]"] if stage.failed else []
        table.add_row(name, bar, f"{stage.done}/{stage.steps}", ", ".join(rest))
    return table


def _running(summary: Summary) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    table.add_column("at work", ratio=5, no_wrap=True, overflow="ellipsis")
    table.add_column("says", ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column("since", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    for job in summary.running[:MOST]:
        memory = f"{job.pulse['memory']:,.0f} MB" if "memory" in job.pulse else ""
        table.add_row(Text(job.title), Text(job.says), duration(job.seconds), memory)
    if (more := len(summary.running) - MOST) > 0:
        table.add_row(f"and {more} more")
    return table


def _failed(summary: Summary) -> Group:
    lines = []
    for failure in summary.failures[:MOST]:
        last = failure.lines[-1] if failure.lines else "its log is empty"
        word = "failed" if failure.state == "failed" else "ended early"
        lines.append(Text(f"{word}: {failure.title}", style="red", no_wrap=True, overflow="ellipsis"))
        lines.append(Text(f"  {last}", no_wrap=True, overflow="ellipsis"))
        lines.append(Text(f"  rerun: {failure.rerun}", style="dim", overflow="fold"))
    if (more := len(summary.failures) - MOST) > 0:
        lines.append(Text(f"and {more} more", style="red"))
    if summary.held:
        lines.append(Text(f"{summary.held} steps wait for these"))
    return Group(*lines)
