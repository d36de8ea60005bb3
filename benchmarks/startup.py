"""Start-up of one step: what `gauntlet` costs before it works, against importing its libraries alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import timing

#: What each job imports before it starts, and what attack jobs import besides.
LIBRARIES = "torch, pydantic, safetensors, typer, yaml"
SCORING = "faiss, sklearn.metrics"
GAUNTLET = str(Path(sys.executable).parent / "gauntlet")


def command(*words: str):
    def run() -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return run


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    python = sys.executable
    seconds = timing.interleave(
        {
            "help": command(GAUNTLET, "--help"),
            "train help": command(GAUNTLET, "dml", "train", "--help"),
            "train": command(python, "-c", "import gauntlet.cli, gauntlet.families.dml.train"),
            "evaluate": command(python, "-c", "import gauntlet.cli, gauntlet.families.dml.evaluate"),
            "typer": command(python, "-c", "import typer, rich.console"),
            "torch": command(python, "-c", "import torch"),
            "libraries": command(python, "-c", f"import {LIBRARIES}"),
            "all libraries": command(python, "-c", f"import {LIBRARIES}, {SCORING}"),
        },
        options.rounds or 5,
    )
    pairs = (
        ("help", "gauntlet --help", "typer", "import typer"),
        ("train help", "gauntlet dml train --help", "typer", "import typer"),
        ("train", "imports of dml train", "libraries", "its libraries"),
        ("train", "imports of dml train", "torch", "import torch"),
        ("evaluate", "imports of dml attack", "all libraries", "its libraries"),
    )
    rows = [
        timing.Comparison("start-up", ours, peer, seconds[first], seconds[second])
        for first, ours, second, peer in pairs
    ]
    timing.report("startup", rows, options)


if __name__ == "__main__":
    main()
