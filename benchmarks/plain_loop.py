"""Federated averaging as it is often written: objects with a model each, and a copy for everyone."""

from __future__ import annotations

import copy
import random

import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

from benchmarks.federation import Federation, optimizer


class Client:
    """Owns a model and a loader of its images."""

    def __init__(self, net, images, rows, batch: int):
        self.net = copy.deepcopy(net)
        self.size = len(rows)
        self.loader = DataLoader(Subset(images, rows.tolist()), batch_size=batch, shuffle=True)

    def train(self) -> None:
        """One epoch with a fresh optimizer."""
        sgd = optimizer(self.net)
        self.net.train()
        for pixels, labels in self.loader:
            sgd.zero_grad()
            F.cross_entropy(self.net(pixels), labels).backward()
            sgd.step()


class PlainLoop:
    """The server and all its clients."""

    def __init__(self, federation: Federation):
        net, train = federation.net(), federation.world.train
        images = TensorDataset(train.pixels, train.labels)
        self.clients = [Client(net, images, rows, federation.batch) for rows in federation.world.rows]
        self.selected = federation.selected
        self.state = net.state_dict()

    def round(self) -> None:
        for client in self.clients:
            client.net.load_state_dict(copy.deepcopy(self.state))
        picked = random.sample(self.clients, self.selected)
        for client in picked:
            client.train()
        total = sum(client.size for client in picked)
        states = [(client.size / total, client.net.state_dict()) for client in picked]
        self.state = {name: sum(share * state[name] for share, state in states) for name in self.state}
