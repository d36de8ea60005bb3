"""`snakemake -n` of the whole pipeline against a trivial workflow with the same jobs and edges.

With ``--trials N ...`` of study `eat` with as many trials, in blocks of five seeds: time and peak memory,
once each (results/dag_trials.md).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import yaml

from benchmarks import timing

ROOT = Path(__file__).resolve().parent.parent
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
TARGET = "job_0"

#: One rule per rule of ours, each job with the same inputs; no parameters, no configuration.
RULE = """
rule {rule}:
    input: lambda w: INPUTS["{rule}/" + w.job]
    output: "{rule}/{{job}}"
    shell: "touch {{output}}"
"""


def jobs(config: Path) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """({job number: rule}, [(producer, consumer)]) of everything, done or not."""
    command = [*SNAKEMAKE, "--configfile", str(config), "--forceall", "--dag", "dot"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    rules = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', run.stdout, re.MULTILINE))
    return rules, re.findall(r"^\s*(\d+) -> (\d+)", run.stdout, re.MULTILINE)


def write_trivial(folder: Path, rules: dict[str, str], edges: list[tuple[str, str]]) -> None:
    def name(job: str) -> str:
        return f"{rules[job]}/{job}"

    inputs = defaultdict(list, {name(job): [] for job in rules})
    for producer, consumer in edges:
        inputs[name(consumer)].append(name(producer))
    consumed = {producer for producer, _ in edges}
    ends = [name(job) for job in rules if job not in consumed]
    text = f"INPUTS = {json.dumps(inputs)}\n\nrule {TARGET}:\n    default_target: True\n    input: {ends}\n"
    text += "".join(RULE.format(rule=rule) for rule in sorted(set(rules.values())))
    (folder / "Snakefile").write_text(text, encoding="utf-8")


def dry_run(folder: Path, *words: str):
    command = [*SNAKEMAKE, "-n", "--forceall", *words]

    def run() -> None:
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return run


def with_trials(trials: int, folder: Path) -> Path:
    """A scale file with so many trials of `eat`: the first grid of `mini`, eight methods, 5 seeds a job."""
    scale = yaml.safe_load((ROOT / "config/mini.yaml").read_text(encoding="utf-8"))
    grid = scale["studies"]["eat"]["grids"][0]
    grid["methods"] = ["none", "at", "mixup", "trades", "alp", "eat", "at_x3", "eat_no_split"]
    blocks = [f"{first}-{first + 4}" for first in range(0, trials // len(grid["methods"]), 5)]
    path = folder / "scale.yaml"
    path.write_text(yaml.safe_dump({"scale": "mini", "seeds": blocks, "studies": {"eat": {"grids": [grid]}}}))
    return path


def peak(folder: Path, *words: str) -> tuple[float, float]:
    """Seconds, and MB at the most, of one dry run."""
    begun = time.perf_counter()
    nowhere = subprocess.DEVNULL
    run = subprocess.Popen([*SNAKEMAKE, "-n", "--quiet", *words], cwd=folder, stdout=nowhere, stderr=nowhere)
    _, status, used = os.wait4(run.pid, 0)
    if status:
        raise SystemExit(f"snakemake -n failed in {folder}")
    return time.perf_counter() - begun, used.ru_maxrss / 1000


def many(options) -> None:
    rows = []
    for trials in options.trials:
        with tempfile.TemporaryDirectory() as folder:
            config = with_trials(trials, Path(folder))
            rules, edges = jobs(config)
            write_trivial(Path(folder), rules, edges)
            ours = peak(ROOT, "--forceall", "--configfile", str(config))
            trivial = peak(Path(folder), "--forceall")
        what, note = f"{trials} trials", f"{trials} trials: {len(rules)} jobs, {len(edges)} edges"
        for at, unit in enumerate(("seconds", "MB")):
            one, other = [ours[at]], [trivial[at]]
            rows.append(timing.Comparison(what, "snakemake -n", "trivial", one, other, note, unit))
    timing.report("dag_trials", rows, options)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument(
        "--trials", type=int, nargs="+", help="a multiple of 40 each, such as 1000 10000 40000"
    )
    parser.add_argument(
        "--config", type=Path, nargs="*", default=[Path("config/mini.yaml"), Path("config/desk.yaml")]
    )
    options = parser.parse_args()
    if options.trials:
        return many(options)
    rows = []
    for config in options.config:
        rules, edges = jobs(config)
        with tempfile.TemporaryDirectory() as folder:
            write_trivial(Path(folder), rules, edges)
            seconds = timing.interleave(
                {
                    "ours": dry_run(ROOT, "--configfile", str(config)),
                    "trivial": dry_run(Path(folder)),
                    "snakemake": dry_run(Path(folder), "--version"),
                },
                options.rounds or 5,
            )
        per_job = 1000 * min(seconds["ours"]) / len(rules)
        what = f"{config.stem}: {len(rules)} jobs"
        note = f"{what}, {len(edges)} edges, {per_job:.0f} ms per job of ours, start-up included"
        rows += [
            timing.Comparison(what, "snakemake -n", "trivial", seconds["ours"], seconds["trivial"], note),
            timing.Comparison(
                what, "snakemake -n", "snakemake --version", seconds["ours"], seconds["snakemake"]
            ),
        ]
    timing.report("dag", rows, options)


if __name__ == "__main__":
    main()
