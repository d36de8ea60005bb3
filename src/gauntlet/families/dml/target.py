"""A trained network and the test images that it is scored on: what attacks and scores work with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, make
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
        gallery: images (m, C, H, W) and labels (m,) that queries are searched in, never perturbed; None
            searches each image among the other test images.

    Attributes:
        clean: (n, D) embeddings of the clean images.
        searched: embeddings and labels of what queries are searched in.
    """

    def __init__(
        self,
        net: Callable[[Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        settings: Evaluate,
        seed: int,
        gallery: tuple[Tensor, Tensor] | None = None,
    ):
        self.net, self.images, self.labels, self.settings, self.seed = net, images, labels, settings, seed
        self.gallery = gallery
        self.classes = labels.cpu().numpy()
        self.clean = self.embed(images)
        self.searched = (self.clean, labels) if gallery is None else (self.embed(gallery[0]), gallery[1])
        self._methods: dict[str, Attack] = {}

    def of(self, net: Callable[[Tensor], Tensor]) -> Target:
        """Another network, on the same images."""
        return Target(net, self.images, self.labels, self.settings, self.seed, self.gallery)

    def subset(self, rows: Tensor) -> Target:
        images, labels = self.images[rows], self.labels[rows]
        return Target(self.net, images, labels, self.settings, self.seed, self.gallery)

    def embed(self, images: Tensor) -> Tensor:
        """(b, D) embeddings, without gradients."""
        with torch.no_grad():
            return torch.cat([self.net(part) for part in images.split(BATCH)])

    def method(self, label: str) -> Attack:
        """The attack with that label, on these images; its targets are the same ones at every budget."""
        if label not in self._methods:
            generator = torch_generator(self.seed, "attack", label, "targets")
            name = self.settings.attack(label).objective
            self._methods[label] = make(name, *self._known(name), generator)
        return self._methods[label]

    def _known(self, attack: str) -> tuple[Tensor, Tensor]:
        """Clean embeddings and labels that an attack sees: the test images, which come first, and for
        attacks on single queries the gallery."""
        if self.gallery is None or resolve("attack", attack).joint:
            return self.clean, self.labels
        embeddings, labels = self.searched
        return torch.cat([self.clean, embeddings]), torch.cat([self.labels, labels])

    def attack(
        self, label: str, *, eps: float | None = None, steps: int | None = None, rows: Tensor | None = None
    ) -> Tensor:
        """Adversarial ``images[rows]`` through the whole network; budget and steps are the attack's own
        unless given. Budgets beyond its own start from its own ball."""
        attack = self.settings.attack(label)
        eps, steps = attack.eps if eps is None else eps, steps or attack.steps
        return perturb(
            self.method(label),
            self.net,
            self.images,
            self.clean,
            self.labels,
            eps=eps,
            step=attack.step_at(eps, steps),
            steps=steps,
            restarts=attack.restarts,
            start_eps=min(eps, attack.eps),
            generator=torch_generator(self.seed, "attack", label),
            rows=rows,
            norm=attack.norm,
            search=attack.search,
            options=attack.options,
        )

    def measures(self, label: str, embeddings: Tensor, rows: Tensor | None = None) -> dict[str, float]:
        """Means of the attack's own measures over perturbed images (of ``rows``; all when None)."""
        rows = torch.arange(len(self.clean), device=self.clean.device) if rows is None else rows
        method = self.method(label)
        found = [method.measures(embeddings[part], rows[part]) for part in _parts(len(rows))]
        return {metric: float(torch.cat([each[metric] for each in found]).mean()) for metric in found[0]}

    def retrieve(self, embeddings: Tensor, rows: Tensor | None = None) -> retrieval.Retrieval:
        """Perturbed images (of ``rows``; all when None) as queries, searched in the gallery or among all
        clean images but their own."""
        rows = np.arange(len(self.classes)) if rows is None else rows.cpu().numpy()
        found, labels = self.searched
        return retrieval.evaluate(
            embeddings,
            found,
            self.classes[rows],
            labels.cpu().numpy(),
            ks=sorted({1, *self.settings.recall}),
            exclude=rows if self.gallery is None else None,
        )

    def chance(self, rows: Tensor) -> float:
        """The share of right images among those that the queries ``rows`` are searched in, in [0, 1]."""
        labels, own = self.searched[1].cpu().numpy(), int(self.gallery is None)
        same = (self.classes[rows.cpu().numpy(), None] == labels).sum(1) - own
        return float((same / (len(labels) - own)).mean())

    def cluster(self, embeddings: Tensor) -> np.ndarray:
        """(n,) k-means clusters of all images, as many as there are classes."""
        return clustering.kmeans(embeddings, len(np.unique(self.classes)), self.settings.kmeans_runs)


def _parts(n: int) -> list[slice]:
    return [slice(at, at + BATCH) for at in range(0, n, BATCH)]


def retrieval_scores(found: retrieval.Retrieval) -> dict[str, float]:
    return {**{f"recall@{k}": value for k, value in found.recall.items()}, "map@r": found.map_at_r}
