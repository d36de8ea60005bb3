"""A trained network and the test images that it is scored on: what attacks and scores work with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gauntlet.attacks.embedding import BATCH, perturb
from gauntlet.core.registry import resolve
from gauntlet.core.seeds import torch_generator
from gauntlet.families.dml.settings import Evaluate
from gauntlet.metrics import clustering, retrieval


class Target:
    """A network under attack.

    Args:
        net: (b, C, H, W) in [0, 1] -> (b, D) unit norm, in eval mode.
        images: (n, C, H, W) in [0, 1], on the network's device.
        labels: (n,) classes.
        settings: the test-time attacks.
        seed: of the trial; its stream ``attack`` gives the random starts.

    Attributes:
        clean: (n, D) embeddings of the clean images.
    """

    def __init__(
        self, net: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, settings: Evaluate, seed: int
    ):
        self.net, self.images, self.labels, self.settings, self.seed = net, images, labels, settings, seed
        self.classes = labels.cpu().numpy()
        self.clean = self.embed(images)

    def subset(self, rows: Tensor) -> Target:
        return Target(self.net, self.images[rows], self.labels[rows], self.settings, self.seed)

    def embed(self, images: Tensor) -> Tensor:
        """(b, D) embeddings, without gradients."""
        with torch.no_grad():
            return torch.cat([self.net(part) for part in images.split(BATCH)])

    def step(self, eps: float, steps: int) -> float:
        """The step size: the attack of any budget and length covers the same multiple of its budget."""
        settings = self.settings
        return min(eps, settings.step * (eps / settings.eps) * (settings.steps / steps))

    def attack(
        self, name: str, *, eps: float | None = None, steps: int | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """Adversarial ``images[rows]`` through the whole network; budget and steps are the headline's
        unless given. Budgets beyond the headline's start from the headline's ball."""
        settings = self.settings
        eps, steps = settings.eps if eps is None else eps, steps or settings.steps
        return perturb(
            name,
            self.net,
            self.images,
            self.clean,
            self.labels,
            eps=eps,
            step=self.step(eps, steps),
            steps=steps,
            restarts=settings.restarts,
            start_eps=min(eps, settings.eps),
            generator=torch_generator(self.seed, "attack", name),
            rows=rows,
        )

    def retrieve(self, embeddings: Tensor, rows: Tensor | None = None) -> retrieval.Retrieval:
        """Perturbed images (of ``rows``; all when None) as queries, all clean images as gallery."""
        rows = np.arange(len(self.classes)) if rows is None else rows.cpu().numpy()
        return retrieval.evaluate(
            embeddings,
            self.clean,
            self.classes[rows],
            self.classes,
            ks=sorted({1, *self.settings.recall}),
            exclude=rows,
        )

    def cluster(self, embeddings: Tensor) -> np.ndarray:
        """(n,) k-means clusters of all images, as many as there are classes."""
        return clustering.kmeans(embeddings, len(np.unique(self.classes)), self.settings.kmeans_runs)


def is_joint(attack: str) -> bool:
    """Whether the attack perturbs all images together: an attack on clustering, not on single queries."""
    return resolve("attack", attack).joint


def retrieval_scores(found: retrieval.Retrieval) -> dict[str, float]:
    return {**{f"recall@{k}": value for k, value in found.recall.items()}, "map@r": found.map_at_r}
