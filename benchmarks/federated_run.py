"""Our simulation, a round at a time; as a process of its own, a round for every line it reads.

python -m benchmarks.federated_run SETTINGS        # JSON, as in ``federation.Federation``, and "mode"
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

import torch

from benchmarks.federation import ARCHITECTURE, LR, MOMENTUM, Federation
from gauntlet.families.federated.settings import Method, Train
from gauntlet.families.federated.simulation import Identity, Simulation


class Run:
    """One run of the simulator on a federation.

    Args:
        federation: whose images, partition and sizes it takes.
        mode: ``sequential`` or ``stacked``.
    """

    def __init__(self, federation: Federation, mode: str):
        train = Train(
            rounds=1_000_000,
            selected=federation.selected,
            batch=federation.batch,
            lr=LR,
            momentum=MOMENTUM,
            mode=mode,
        )
        identity = Identity(
            family="federated",
            dataset=federation.dataset.name,
            architecture=ARCHITECTURE,
            data=federation.data,
            method=Method(selection="random"),
            train=train,
        )
        self.simulation = Simulation(identity, 0, federation.dataset, torch.device("cpu"))

    def round(self) -> float:
        """Play one; its seconds without the evaluation."""
        simulation = self.simulation
        simulation.round += 1
        with contextlib.redirect_stderr(io.StringIO()):  # its line of progress
            started = time.perf_counter()
            simulation.play()
            spent = time.perf_counter() - started
        return spent - simulation.seconds["test"][-1]

    def accuracy(self) -> float:
        return float(self.simulation.test(self.simulation.model).accuracy[0])


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    run = Run(Federation(settings), settings["mode"])
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps({"seconds": run.round()}), flush=True)


if __name__ == "__main__":
    main()
