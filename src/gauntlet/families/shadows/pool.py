"""Of whom it is asked whether a federation has trained on them: one rule for its attackers and their shadow
models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.seeds import numpy_generator
from gauntlet.data.subset import Images
from gauntlet.families.federated.world import World


@dataclass(frozen=True)
class Pool:
    """All candidates: first members, then as many others, of every class alike.

    Attributes:
        images: (2n) of them.
        rows: (n,) int64 the members' rows in the world's training images.
        population: images that neither a federation nor a shadow model has trained on.
    """

    images: Images
    rows: np.ndarray
    population: Images

    @property
    def member(self) -> np.ndarray:
        """(2n,) bool: whether a client has it."""
        return np.arange(len(self.images)) < len(self.rows)

    def candidates(self, owned: Tensor | None = None, per_class: int | None = None) -> np.ndarray:
        """Positions in ``images`` of members and of equally many others of every class, members first.

        Args:
            owned: rows of the training images that count as members; all when None.
            per_class: the most members of a class; all when None.
        """
        labels = self.images.labels.cpu().numpy()
        known = np.ones(len(self.rows), dtype=bool) if owned is None else np.isin(self.rows, owned.numpy())
        inside, outside = [], []
        for label in np.unique(labels):
            members = np.flatnonzero(known & (labels[: len(self.rows)] == label))[:per_class]
            others = len(self.rows) + np.flatnonzero(labels[len(self.rows) :] == label)
            inside.append(members)
            outside.append(others[: len(members)])
        return np.concatenate([*inside, *outside])


def draw(world: World, seed: int) -> Pool:
    """The clients' training images are members, test images the others: of every class as many as there are
    of both, drawn by the stream ``pool`` of the seed. The population are the other test images, or where
    none are left those that the server holds out.
    """
    generator = numpy_generator(seed, "pool")
    train, test = (images.labels.cpu().numpy() for images in (world.train, world.test))
    members, others = [], []
    for label in range(world.classes):
        sides = [generator.permutation(np.flatnonzero(labels == label)) for labels in (train, test)]
        count = min(map(len, sides))
        members.append(sides[0][:count])
        others.append(sides[1][:count])
    rows, drawn = np.concatenate(members), np.concatenate(others)
    rest = np.setdiff1d(np.arange(len(test)), drawn)
    pixels = torch.cat([world.train.pixels[rows], world.test.pixels[drawn]])
    labels = torch.cat([world.train.labels[rows], world.test.labels[drawn]])
    population = Images(world.test.pixels[rest], world.test.labels[rest]) if len(rest) else world.held_out
    return Pool(Images(pixels, labels), rows, population)
