"""What every simulation of this family has: the world, the first model, and what is written down."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.resume import Resume
from gauntlet.families import block
from gauntlet.families.block import Trained
from gauntlet.families.distilled.settings import TABLES, Data, Method, Train
from gauntlet.families.federated import world
from gauntlet.families.federated.evaluation import Evaluator
from gauntlet.models.copies import State, state_of

#: What determines a trained cell, apart from its seeds.
Identity = block.Identity[Data, Method, Train]


class Simulation:
    """One seed of one method. Named streams: ``split``, ``partition``, ``init``, and those of the method.

    Raises:
        GauntletError: a partition that does not fit, or a network with running statistics.
    """

    def __init__(self, what: Identity, seed: int, dataset, device: torch.device, method):
        self.what, self.seed, self.train, self.method = what, seed, what.train, method
        self.world = world.build(dataset, what.data, seed, device)
        self.classes = self.world.classes
        self.net = self.new("init")
        if list(self.net.buffers()):
            raise GauntletError(
                f"{what.architecture} has running statistics (BatchNorm), which samples as few as distilled "
                "ones do not give",
                key="architecture",
                remedy="choose a network without them, such as lenet, net3conv or net4conv",
            )
        self.first = {name: value.clone() for name, value in state_of(self.net).items()}
        self.test = Evaluator(self.new("init"), self.world.test, self.classes)
        self.round, self.passes = 0, 0.0
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["train"]}
        self.rows["clients"] = self.world.clients(seed)

    def new(self, *names: str | int) -> torch.nn.Module:
        """A network whose initial weights are drawn from a stream of the seed."""
        return self.world.network(self.what.architecture, self.seed, *names)

    @property
    def finished(self) -> bool:
        return self.round >= self.train.rounds

    def fit(self, resume: Resume) -> Trained:
        """Run all rounds, from the saved state if there is one; saves the finished state."""
        if (state := resume.load()) is not None:
            self.restore(state)
        while not self.finished:
            self.advance()
            resume.checkpoint(self.state)
        resume.save(self.state())
        return self.outcome()

    def advance(self) -> None:
        """A stretch of work of seconds, after which the state may be saved."""
        raise NotImplementedError

    def outcome(self) -> Trained:
        """What the finished simulation leaves."""
        raise NotImplementedError

    def exchanged(self) -> dict[str, int]:
        """Bytes that clients sent and received in the whole run."""
        return {name: sum(row[name] for row in self.rows["exchange"]) for name in ("up_bytes", "down_bytes")}

    def record(self, models: Iterable[State], loss: float, sent: int = 0, received: int = 0) -> None:
        """Write down the round: each model's hits and loss on the test set, added up over the models, and the
        bytes that all clients sent and received."""
        scores = self.test(*models)
        self.round += 1
        here, count = {"seed": self.seed, "round": self.round}, len(scores.correct)
        for label, total in enumerate((count * scores.total).tolist()):
            correct, summed = scores.correct[:, label].sum(), scores.losses[:, label].sum()
            self.rows["rounds"].append(
                {
                    **here,
                    "label": label,
                    "total": total,
                    "correct": int(correct),
                    "loss": float(summed / max(total, 1)),
                }
            )
        self.rows["training"].append(
            {
                "seed": self.seed,
                "epoch": self.round - 1,
                "member": 0,
                "loss": float(loss),
                "passes": self.passes / len(self.world.train),
            }
        )
        self.rows["exchange"].append(
            {**here, "up_bytes": int(sent), "down_bytes": int(received), "epsilon": float("nan")}
        )
        print(
            f"seed {self.seed} round {self.round}/{self.train.rounds} accuracy {scores.accuracy.mean():.4f} "
            f"loss {loss:.4f} sent {sent} bytes",
            file=sys.stderr,
        )

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on. Overrides add to it."""
        rows = {name: rows for name, rows in self.rows.items() if name != "clients"}
        return {"round": self.round, "passes": self.passes, "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        self.round, self.passes = state["round"], state["passes"]
        self.rows |= state["rows"]
