"""Clients that share samples: each distils, the server joins what it got, all train on that."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.distillation.base import Setting
from gauntlet.distillation.sets import FLOAT, Sets
from gauntlet.distillation.unroll import descend, repeated
from gauntlet.families.block import Trained
from gauntlet.families.distilled.samples import shown
from gauntlet.families.distilled.simulation import Simulation
from gauntlet.models.copies import copies, state_of

#: What a set consists of; the rest follows from the method and who owns what.
TENSORS = ("images", "labels", "steps")


class Sharing(Simulation):
    """FLiP's rounds (Xu et al. 2024, arXiv 2410.19548): every client distils its images, given the round's
    model and what it received; the server joins the sets and averages the step sizes; every party takes the
    same gradient steps on the joined set."""

    def __init__(self, what, seed, dataset, device, method):
        super().__init__(what, seed, dataset, device, method)
        self.model = self.first
        self.shared: Sets | None = None
        self.distilling = False
        self.seconds = 0.0
        method.begin(
            Setting(
                net=self.net,
                images=self.world.train,
                rows=self.world.rows,
                classes=self.classes,
                seed=seed,
                fresh=lambda *names: state_of(self.new(*names)),
            )
        )
        self.run = copies(self.net)

    def advance(self) -> None:
        """One update of all clients' sets, or the end of a round."""
        started = time.perf_counter()
        if not self.distilling:
            self._open()
        if not self.method.finished:
            self.method.step()
            self.seconds += time.perf_counter() - started
        if self.method.finished:
            self._close()

    @property
    def _start(self):
        """What the round's inner loops and its training begin at."""
        return self.first if self.train.restart else self.model

    def _open(self) -> None:
        self.method.open(self.round + 1, self._start, self.shared)
        self.distilling = True

    def _close(self) -> None:
        sent, received = 0, 0
        new = self.method.close()
        if self.shared is None or not self.method.once:
            sent, received = self._bytes(new)
        self.shared, self.distilling = new.averaged(), False
        samples, steps = self.shared.joined(), self.shared.steps[:1]
        if not steps.shape[1]:
            steps = torch.full((1, self.train.steps), self.train.lr, device=steps.device)
        trained = descend(self.run, repeated(self._start, 1), samples, steps)
        self.model = {name: value[0] for name, value in trained.items()}
        if not all(value.isfinite().all() for value in self.model.values()):
            raise GauntletError(
                f"training on the shared samples diverged (dataset {self.what.dataset}, distillation "
                f"{self.what.method.distillation}, seed {self.seed}, round {self.round + 1})",
                key="train.lr",
                remedy="lower it, or the step sizes of the method",
            )
        self.passes += self.method.seen + len(steps[0]) * int(samples.weights.sum())
        self.record([self.model], self.method.loss(), sent, received)

    def _bytes(self, sets: Sets) -> tuple[int, int]:
        """What all clients send, and what all receive: the joined set with one list of step sizes, and before
        the first round the model."""
        clients, own = len(self.world.rows), sets.bytes()
        lists = FLOAT * sets.steps.shape[1]
        joined = int(own.sum()) - (clients - 1) * lists
        model = 0 if self.round else FLOAT * sum(value.numel() for value in self.first.values())
        return int(own.sum()), clients * (joined + model)

    def outcome(self) -> Trained:
        """The last model, and under ``distilled.`` what was shared in the last round: of r samples the
        ``images`` (r, C, H, W), their soft ``labels`` (r, classes), the ``class`` and the ``client`` (r,)
        that each is for and from, and all clients' mean ``steps`` (J,)."""
        sets = self.shared
        clients, slots = sets.present.nonzero(as_tuple=True)
        self.rows["samples"] = shown(self.seed, sets.images[clients, slots], sets.slots[slots], clients)
        weights = {
            **self.model,
            "distilled.images": sets.images[clients, slots],
            "distilled.labels": sets.labels[clients, slots],
            "distilled.class": sets.slots[slots],
            "distilled.client": clients,
            "distilled.steps": sets.steps[0],
        }
        updates = self.method.iterations * self.train.rounds
        facts = {"update_seconds": self.seconds / updates} if updates else {}
        return Trained(weights, self.rows, {**self.exchanged(), **facts})

    def state(self):
        return super().state() | {
            "model": self.model,
            "shared": self.shared and {name: getattr(self.shared, name) for name in TENSORS},
            "method": self.method.state() if self.distilling else None,
            "seconds": self.seconds,
        }

    def restore(self, state):
        super().restore(state)
        device = self.world.train.pixels.device
        self.model = {name: value.to(device) for name, value in state["model"].items()}
        self.seconds = state["seconds"]
        if state["shared"] is not None:
            tensors = {name: value.to(device) for name, value in state["shared"].items()}
            self.shared = replace(self.method.sets, **tensors)
        if state["method"] is not None:
            self._open()
            self.method.restore(state["method"])
