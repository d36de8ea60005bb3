"""Timing two programs side by side: turn about, in one run on one machine, and printing their ratio."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
LIBRARIES = (
    "torch",
    "numpy",
    "faiss-cpu",
    "faiss-gpu",
    "scikit-learn",
    "pytorch-metric-learning",
    "snakemake",
)


@dataclass(frozen=True)
class Comparison:
    """Seconds of ``ours`` and of ``peer``, one pair per round; or of another ``unit``."""

    what: str
    ours: str
    peer: str
    our_values: list[float]
    peer_values: list[float]
    note: str = ""
    unit: str = "seconds"

    @property
    def ratios(self) -> list[float]:
        """Our time over the peer's, per round: below 1, ours is faster."""
        return [a / b for a, b in zip(self.our_values, self.peer_values, strict=True)]

    def row(self) -> dict[str, object]:
        return {
            "what": self.what,
            "ours": self.ours,
            f"our_{self.unit}": statistics.median(self.our_values),
            "peer": self.peer,
            f"peer_{self.unit}": statistics.median(self.peer_values),
            "ratio": statistics.median(self.ratios),
            "ratio_low": min(self.ratios),
            "ratio_high": max(self.ratios),
            "ratio_of_best": min(self.our_values) / min(self.peer_values),
            "rounds": len(self.ratios),
            "unit": self.unit,
            "note": self.note,
        }


def interleave(
    programs: dict[str, Callable[[], float | None]], rounds: int, warmup: int = 1
) -> dict[str, list[float]]:
    """Seconds of each program per round, in turn, each round beginning with another one.

    A program that returns a float reports its own (a peer in another process), or another quantity.
    """
    names = list(programs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warmup, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            reported = programs[name]()
            spent = time.perf_counter() - started if reported is None else reported
            if number >= 0:
                seconds[name].append(spent)
    return seconds


def table(rows: Sequence[dict]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| what | ours | peer | ours / peer | least .. most | best / best | rounds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['what']} | {row['ours']}: {shown(row, 'our')} "
            f"| {row['peer']}: {shown(row, 'peer')} | **{row['ratio']:.2f}** "
            f"| {row['ratio_low']:.2f} .. {row['ratio_high']:.2f} | {row['ratio_of_best']:.2f} "
            f"| {row['rounds']} |"
        )
    notes = dict.fromkeys(row["note"] for row in rows if row["note"])
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]).rstrip()


def shown(row: dict, side: str) -> str:
    value = row[f"{side}_{row['unit']}"]
    if row["unit"] != "seconds":
        return f"{value:.0f} {row['unit']}"
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def machine(threads: int) -> dict[str, object]:
    """What the timings depend on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "libraries": versions,
    }


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each comparison (default: its own)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads on both sides (default 1)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json and .md")
    return parser


def report(
    name: str, comparisons: Sequence[Comparison], options: argparse.Namespace, processes: int = 1
) -> None:
    """Print the table; with ``--save``, write it and every single timing.

    Args:
        processes: how many the benchmark itself keeps busy.
    """
    rows = [comparison.row() for comparison in comparisons]
    where = machine(options.threads)
    print(f"## {name}\n\n{table(rows)}\n", flush=True)
    if where["load"] > 1.5 * options.threads * processes:
        print(f"(the load was {where['load']}: other programs ran, so trust the ratios little)\n", flush=True)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        for row, comparison in zip(rows, comparisons, strict=True):
            row["our_rounds"], row["peer_rounds"] = comparison.our_values, comparison.peer_values
        text = json.dumps({"machine": where, "comparisons": rows}, indent=2, sort_keys=True)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        line = f"{where['cpu']}, {where['cores']} cores, {where['threads']} thread(s), load {where['load']}"
        (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{table(rows)}\n\n{line}\n", encoding="utf-8")
