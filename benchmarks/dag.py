"""`snakemake -n` of the whole pipeline against a trivial workflow with the same jobs and edges."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

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


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument(
        "--config", type=Path, nargs="*", default=[Path("config/mini.yaml"), Path("config/desk.yaml")]
    )
    options = parser.parse_args()
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
