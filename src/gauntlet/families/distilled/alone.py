"""Clients that share nothing: as many models as clients, measured together.

This is not in the family ``federated``, whose server always merges the models of a round into one.
"""

from __future__ import annotations

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import torch_generator
from gauntlet.families.block import Trained
from gauntlet.families.distilled.simulation import Simulation
from gauntlet.families.federated.local import Recipe, Sequential, Task


class Alone(Simulation):
    """Every client goes on training its own model on its own images; accuracy is the mean over clients.

    Its batches are those that it would train on in the family ``federated`` (stream ``batches``).
    """

    def __init__(self, what, seed, dataset, device, method):
        super().__init__(what, seed, dataset, device, method)
        recipe = Recipe(method.batch, method.momentum, method.weight_decay)
        self.trainer = Sequential(self.net, self.world.train, recipe)
        self.models = [self.first] * what.data.clients

    def advance(self) -> None:
        """One round."""
        losses = []
        for client, rows in enumerate(self.world.rows):
            generator = torch_generator(self.seed, "batches", self.round + 1, client)
            epochs = range(self.method.epochs)
            orders = [rows[torch.randperm(len(rows), generator=generator)] for _ in epochs]
            (update,) = self.trainer.train(self.models[client], [Task(orders, self.method.lr)])
            if not update.finite:
                raise GauntletError(
                    f"the training of client {client} diverged (seed {self.seed}, round {self.round + 1})",
                    key="method.options.lr",
                    remedy="lower the learning rate",
                )
            self.models[client] = update.state
            losses.append(update.loss * len(rows))
        images = len(self.world.train)
        self.passes += self.method.epochs * images
        self.record(self.models, sum(losses) / images)

    def outcome(self) -> Trained:
        """Every client's model, under ``client<k>.``."""
        weights = {
            f"client{client}.{name}": value
            for client, model in enumerate(self.models)
            for name, value in model.items()
        }
        return Trained(weights, self.rows, self.exchanged())

    def state(self):
        return super().state() | {"models": self.models}

    def restore(self, state):
        super().restore(state)
        device = self.world.train.pixels.device
        self.models = [{name: value.to(device) for name, value in one.items()} for one in state["models"]]
