"""Run the benchmarks, one after the other, each in a process of its own.

    python benchmarks/run.py [NAME ...] [--save] [--threads N] [--rounds N] [--device D]
                             [--small] [--peer DIR] [--dfme DIR]

Options are passed on to the benchmarks that know them; without names, all run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: name -> the options beyond the common ones that it takes
BENCHMARKS = {
    "startup": (),
    "dag": (),
    "pgd": ("peer", "device"),
    "crafting": ("device",),
    "at_step": ("peer", "device", "small"),
    "eat_step": ("device", "small"),
    "joint_pair": ("small",),
    "ranking": ("small",),
    "neighbours": (),
    "photo_batches": (),
    "evaluation": (),
    "dvc_pull": ("small",),
    "federated_round": (),
    "federated_memory": (),
    "shapley": (),
    "selection": (),
    "shadows": ("device",),
    "stealing": ("dfme", "device"),
    "zeroth_order": ("device",),
    "distillation": ("device",),
    "inversion": ("device",),
    "data_prepare": ("small",),
    "data_batches": ("small",),
    "data_verify": ("small",),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json and .md")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads on both sides (default 1)")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each comparison (default: its own)")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that they work")
    parser.add_argument("--peer", type=Path, help="a checkout of torchattacks instead of the locked release")
    parser.add_argument("--dfme", type=Path, help="a checkout of cake-lab/datafree-model-extraction")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(BENCHMARKS)}")
    threads = str(options.threads)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    failed = []
    for name in options.names or BENCHMARKS:
        command = [sys.executable, "-m", f"benchmarks.{name}", "--threads", threads]
        command += ["--rounds", str(options.rounds)] + ["--save"] * options.save
        for peer in ("peer", "dfme"):
            if (folder := getattr(options, peer)) and peer in BENCHMARKS[name]:
                command += [f"--{peer}", str(folder.resolve())]
        if "device" in BENCHMARKS[name]:
            command += ["--device", options.device]
        command += ["--small"] * (options.small and "small" in BENCHMARKS[name])
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
