"""A trained network and the test images that it is scored on: what attacks and scores work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, make
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.embedding import BATCH, batch_size, perturbed
from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import torch_generator
from gauntlet.families.dml.images.base import Images
from gauntlet.families.dml.settings import Evaluate
from gauntlet.metrics import clustering, retrieval

Net = Callable[[Tensor], Tensor]


class Target:
    """A network under attack.

    Images come to the network's device a batch at a time, so that a test set may be larger than it.

    Args:
        net: (b, C, H, W) in [0, 1] -> (b, D) unit norm, in eval mode.
        images: n test images.
        labels: (n,) classes, on the network's device.
        settings: the test-time attacks.
        seed: of the trial; its stream ``attack`` gives the random starts.
        gallery: m images and their labels (m,) that queries are searched in, never perturbed; None
            searches each image among the other test images.

    Attributes:
        batch: images per forward pass.
        clean: (n, D) embeddings of the clean images.
        searched: embeddings and labels of what queries are searched in.
    """

    def __init__(
        self,
        net: Net,
        images: Images,
        labels: Tensor,
        settings: Evaluate,
        seed: int,
        gallery: tuple[Images, Tensor] | None = None,
    ):
        self.net, self.images, self.labels, self.settings, self.seed = net, images, labels, settings, seed
        self.gallery, self.device = gallery, labels.device
        self.batch = batch_size(images.channels, images.size)
        self.classes = labels.cpu().numpy()
        self.clean = self.embed(self.views(images))
        self.searched = (self.clean, labels)
        if gallery is not None:
            self.searched = self.embed(self.views(gallery[0])), gallery[1]
        self._methods: dict[str, Attack] = {}

    def of(self, net: Net) -> Target:
        """Another network, on the same images."""
        return Target(net, self.images, self.labels, self.settings, self.seed, self.gallery)

    def subset(self, rows: Tensor) -> Target:
        images, labels = self.images.take(rows), self.labels[rows]
        return Target(self.net, images, labels, self.settings, self.seed, self.gallery)

    def rows(self) -> Tensor:
        """(n,) all rows."""
        return torch.arange(len(self.labels), device=self.device)

    def views(self, images: Images) -> Iterator[Tensor]:
        """Clean images, batch by batch."""
        for rows in torch.arange(len(images)).split(self.batch):
            yield images.view(rows, self.device)

    def embed(self, batches: Iterable[Tensor]) -> Tensor:
        """(n, D) embeddings of images that come in batches, without gradients."""
        return embed([self.net], batches)[0]

    def method(self, label: str) -> Attack:
        """The attack with that label, on these images; its targets are the same ones at every budget."""
        if label not in self._methods:
            generator = torch_generator(self.seed, "attack", label, "targets")
            known = Clean(self.clean, self.labels, None if self.gallery is None else self.searched)
            self._methods[label] = make(self.settings.attack(label).objective, known, generator)
        return self._methods[label]

    def attack(
        self, label: str, *, eps: float | None = None, steps: int | None = None, rows: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Adversarial images of ``rows``, batch by batch, through the whole network; budget and steps are the
        attack's own unless given. Budgets beyond its own start from its own ball."""
        attack = self.settings.attack(label)
        eps, steps = attack.eps if eps is None else eps, steps or attack.steps
        return perturbed(
            self.method(label),
            self.net,
            lambda some: self.images.view(some, self.device),
            self.rows() if rows is None else rows,
            eps=eps,
            step=attack.step_at(eps, steps),
            steps=steps,
            restarts=attack.restarts,
            start_eps=min(eps, attack.eps),
            generator=torch_generator(self.seed, "attack", label),
            batch=self.batch,
            norm=attack.norm,
            search=attack.search,
            options=attack.options,
            home=self.images.home,
        )

    def measures(self, label: str, embeddings: Tensor, rows: Tensor | None = None) -> dict[str, float]:
        """Means of the attack's own measures over perturbed images (of ``rows``; all when None)."""
        rows = self.rows() if rows is None else rows
        method = self.method(label)
        found = [method.measures(embeddings[part], rows[part]) for part in _parts(len(rows))]
        return {metric: float(torch.cat([each[metric] for each in found]).mean()) for metric in found[0]}

    def retrieve(self, embeddings: Tensor, rows: Tensor | None = None) -> retrieval.Retrieval:
        """Perturbed images (of ``rows``; all when None) as queries, searched in the gallery or among all
        clean images but their own.

        Raises GauntletError when a K of the recalls is as many as there are, or more.
        """
        rows = np.arange(len(self.classes)) if rows is None else rows.cpu().numpy()
        found, labels = self.searched
        ks = sorted({1, *self.settings.recall})
        if ks[-1] >= (among := len(labels) - (self.gallery is None)):
            raise GauntletError(
                f"recall@{ks[-1]} among {among} images finds all of them, whatever the network",
                key="evaluate.recall",
                remedy="leave it out, or use more test images (test_per_class)",
            )
        return retrieval.evaluate(
            embeddings,
            found,
            self.classes[rows],
            labels.cpu().numpy(),
            ks=ks,
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


def embed(nets: Sequence[Net], batches: Iterable[Tensor]) -> list[Tensor]:
    """Per network the (n, D) embeddings of images that come in batches, each of which is needed once; without
    gradients."""
    found: list[list[Tensor]] = [[] for _ in nets]
    for images in batches:
        with torch.no_grad():
            for net, own in zip(nets, found, strict=True):
                own.append(net(images))
    return [torch.cat(own) for own in found]


def _parts(n: int) -> list[slice]:
    return [slice(at, at + BATCH) for at in range(0, n, BATCH)]


def retrieval_scores(found: retrieval.Retrieval) -> dict[str, float]:
    recall = {f"recall@{k}": value for k, value in found.recall.items()}
    return {**recall, "r-precision": found.r_precision, "map@r": found.map_at_r}
