"""Coordinate descent over a fixed pool of noise vectors: the frame of MEGA and of its ablations.

1. A fresh generator G, optionally without negative convolution weights.
2. The pool Z: noise is drawn a thousand at a time and labelled by the target, until every class has its share
   or the draws are used up; the rest is filled with fresh noise, which is labelled too.
3. Warm-up: the substitute S learns these labels, which asks for none.
4. Rounds: G(Z) is labelled anew; S learns it for some epochs; then G follows its own loss for some epochs,
   with S fixed. Labels are constants: no gradient passes through the target.

Networks are in train mode throughout, so that BatchNorm uses the statistics of the batch.
"""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.models.generators.base import without_negative_weights
from gauntlet.models.optimizers import RmsProp
from gauntlet.stealing.base import Setting, Stealing

#: Noise vectors per draw of the pool.
DRAW = 1000


class Pooled(Stealing):
    """Base of the methods over a pool. Subclasses say what the generator descends.

    Args:
        pool: noise vectors, the paper's n.
        factor: share of the pool that is balanced over classes before the rest is filled.
        draws: most draws of 1000; some class may never appear.
        balanced: False fills the whole pool with fresh noise.
        positive_init: the generator begins without negative convolution weights.
        warm_epochs: of the substitute's warm-up.
        s_epochs, g_epochs: of the substitute and of the generator in a round.
        batch: images per update.
        lr_warm, lr_s, lr_g: RMSprop's rates.
        decay_every, decay: the substitute's rate falls after so many rounds.
        weight: lambda, of the generator's loss. RMSprop divides a loss's scale out, up to its epsilon.
        regenerate: False asks about the first images again and again, as in the released file, where the
            substitute never sees the generator's updates.
    """

    kept = (
        "epoch",
        "drawn",
        "filled",
        "rounds",
        "z",
        "images",
        "labels",
        "g",
        "warm",
        "s_optimizer",
        "g_optimizer",
    )

    def __init__(
        self,
        pool: int = 2000,
        factor: float = 1.0,
        draws: int = 20,
        balanced: bool = True,
        positive_init: bool = True,
        warm_epochs: int = 10,
        s_epochs: int = 4,
        g_epochs: int = 1,
        batch: int = 64,
        lr_warm: float = 1e-3,
        lr_s: float = 1e-3,
        lr_g: float = 1e-4,
        decay_every: int = 5,
        decay: float = 0.7,
        weight: float = 1.0,
        regenerate: bool = True,
    ):
        self.pool, self.factor, self.most_draws, self.balanced = pool, factor, draws, balanced
        self.positive_init, self.warm_epochs = positive_init, warm_epochs
        self.s_epochs, self.g_epochs, self.batch = s_epochs, g_epochs, batch
        self.lr_warm, self.lr_s, self.lr_g = lr_warm, lr_s, lr_g
        self.decay_every, self.decay, self.weight, self.regenerate = decay_every, decay, weight, regenerate

    def generator_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The scalar that the generator descends, of the substitute's ``logits`` (b, K) of its images and the
        target's ``labels`` (b,) of them."""
        raise NotImplementedError

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        self.g = setting.generator().train()
        if self.positive_init:
            without_negative_weights(self.g)
        self.s = setting.substitute.train()
        self.warm = RmsProp([(list(self.s.parameters()), self.lr_warm)])
        self.s_optimizer = RmsProp([(list(self.s.parameters()), self.lr_s)])
        self.g_optimizer = RmsProp([(list(self.g.parameters()), self.lr_g)])
        self.z: Tensor | None = None
        self.images: Tensor | None = None  # of the latest labels
        self.labels: Tensor | None = None
        self.drawn, self.filled = 0, 0  # draws of the pool, and the noise that filled it
        self.rounds = 0  # begun: the pool was labelled anew
        self.epoch = 0  # of the warm-up, then of all rounds: (s_epochs + g_epochs) per round

    def step(self) -> None:
        if self.z is None:
            self._fill()
        elif self.epoch < self.warm_epochs:
            self._teach(self.warm)
            self.epoch += 1
        else:
            if self._epoch_of_round == 0:
                self._label()
            if self._epoch_of_round < self.s_epochs:
                self._teach(self.s_optimizer, self.decay ** (self.round // self.decay_every))
            else:
                self._follow()
            self.epoch += 1

    def formula(self) -> int:
        """1000 per draw of the pool, the noise that filled it, and the whole pool in every round."""
        return DRAW * self.drawn + self.filled + self.pool * self.rounds

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        return self.g(self.z[:count])

    @property
    def settled(self) -> bool:
        """After the warm-up and every round."""
        return self.epoch >= self.warm_epochs and self._epoch_of_round == 0

    @property
    def round(self) -> int:
        """Rounds finished."""
        return (self.epoch - self.warm_epochs) // (self.s_epochs + self.g_epochs)

    @property
    def _epoch_of_round(self) -> int:
        return (self.epoch - self.warm_epochs) % (self.s_epochs + self.g_epochs)

    def _fill(self) -> None:
        """The pool (n, latent) with its first images and labels: balanced as far as the draws go."""
        oracle = self.setting.oracle
        quota, parts = self.pool // oracle.classes, []
        counts = torch.zeros(oracle.classes, dtype=torch.int64)
        draws = self.most_draws if self.balanced else 0
        while draws and counts.sum() < self.factor * quota * oracle.classes:
            if oracle.left < DRAW + self.pool:  # the rest of the pool has still to be asked about
                break
            draws -= 1
            self.drawn += 1
            z, images, labels = self._ask(DRAW)
            for label in range(oracle.classes):
                rows = (labels == label).nonzero()[: quota - int(counts[label]), 0]
                counts[label] += len(rows)
                parts.append((z[rows], images[rows], labels[rows]))
        if self.balanced and (absent := (counts == 0).nonzero()[:, 0].tolist()):
            print(
                f"the target took no image of a fresh generator for class {', '.join(map(str, absent))} in "
                f"{self.drawn} draws; the pool is filled with fresh noise",
                file=sys.stderr,
            )
        self.filled = self.pool - int(counts.sum())
        if self.filled:
            parts.append(self._ask(self.filled))
        order = torch.randperm(self.pool, generator=self.draws).to(self.setting.device)
        self.z, self.images, self.labels = (torch.cat(part)[order] for part in zip(*parts, strict=True))

    def _ask(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Fresh noise, its images, and their labels."""
        z = self.noise(count)
        images = self._generate(z)
        return z, images, self.setting.oracle(images)

    @torch.no_grad()
    def _generate(self, z: Tensor) -> Tensor:
        return torch.cat([self.g(part) for part in z.split(DRAW)])

    def _label(self) -> None:
        """Ask for the labels of what the generator makes of the pool."""
        images = self._generate(self.z) if self.regenerate else self.images
        self.labels = self.setting.oracle(images)
        self.images = images
        self.rounds += 1

    def _teach(self, optimizer: RmsProp, factor: float = 1.0) -> None:
        """One epoch of the substitute."""
        for rows in self.order(len(self.z), self.batch):
            loss = F.cross_entropy(self.s(self.images[rows]), self.labels[rows])
            optimizer.descend(loss, factor)
            self.watch("substitute", loss)

    def _follow(self) -> None:
        """One epoch of the generator, with the substitute fixed but for BatchNorm's running statistics."""
        for rows in self.order(len(self.z), self.batch):
            logits = self.s(self.g(self.z[rows]))
            loss = self.weight * self.generator_loss(logits, self.labels[rows])
            self.g_optimizer.descend(loss)
            self.watch("generator", loss)
