"""Peak memory of a simulation with more and more clients of the same images; each in a fresh process."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

from benchmarks import timing
from benchmarks.peers import ROOT
from benchmarks.sides import peak

CLIENTS = (50, 500, 5000)
SETTINGS = {"selected": 5, "batch": 10, "images": 10_000}
ROUNDS = 3


def simulate(side: str, settings: dict) -> None:
    """What a process measures: some rounds, then its peak memory in MB."""
    import torch  # not above: a process inherits the peak of the one that starts it

    from benchmarks.federated_run import Run
    from benchmarks.federation import Federation
    from benchmarks.plain_loop import PlainLoop

    torch.set_num_threads(settings["threads"])
    federation = Federation(settings)
    program = PlainLoop(federation) if side == "plain" else Run(federation, "stacked")
    for _ in range(ROUNDS):
        program.round()
    print(peak())


def megabytes(side: str, settings: dict) -> float:
    command = [sys.executable, "-m", "benchmarks.federated_memory", "--simulate", side, json.dumps(settings)]
    return float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--simulate", nargs=2, metavar=("SIDE", "SETTINGS"), help="print MB, do no more")
    options = parser.parse_args()
    if options.simulate:
        return simulate(options.simulate[0], json.loads(options.simulate[1]))
    programs = {
        (side, clients): functools.partial(
            megabytes, side, {**SETTINGS, "clients": clients, "threads": options.threads}
        )
        for side in ("ours", "plain")
        for clients in CLIENTS
    }
    peaks = timing.interleave(programs, options.rounds or 2, warmup=0)
    rows = []
    for clients in CLIENTS:
        ours = f"{clients} clients", "gauntlet"
        least, plain = ("ours", CLIENTS[0]), ("plain", clients)
        if clients != CLIENTS[0]:
            peer = f"gauntlet, {CLIENTS[0]} clients"
            rows.append(timing.Comparison(*ours, peer, peaks["ours", clients], peaks[least], unit="MB"))
        rows.append(timing.Comparison(*ours, "plain loop", peaks["ours", clients], peaks[plain], unit="MB"))
    timing.report("federated_memory", rows, options)


if __name__ == "__main__":
    main()
