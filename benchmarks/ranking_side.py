"""A side of ``ranking``: the attacks on ranks, ours or written with whole rows of sorted distances."""

from __future__ import annotations

import functools
import json
import sys

import faiss
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.sides import serve
from gauntlet.attacks.base import make
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.geometry import distance, distances
from gauntlet.attacks.ranking.base import NEAR
from gauntlet.core.seeds import torch_generator

PER_CLASS = 5  # as in Stanford Online Products
NOISE = 1.0  # of an image about its class, in lengths of a class's centre
MOVE = 0.5  # of a perturbed embedding, likewise
BLOCK = 4096


def scatter(labels: Tensor, centres: Tensor, noise: float) -> Tensor:
    """(n, D) unit vectors around ``centres[labels]``; made in place, so that the peak is that of the work."""
    points = torch.randn(len(labels), centres.shape[1])
    for rows in torch.arange(len(labels)).split(BLOCK):
        points[rows] = F.normalize(points[rows] * noise + centres[labels[rows]])
    return points


class Plain:
    """An attack by the book, with the draws of ours."""

    def __init__(self, name: str, clean: Clean, generator: torch.Generator):
        self.name, self.clean = name, clean
        self.up, self.query = name.endswith("plus"), name.startswith("qa")
        n, m = len(clean.queries), len(clean.gallery)
        if name.endswith("minus"):
            places = torch.randint(0, max(1, int(NEAR * m)), (n,), generator=generator)
            order = distances(clean.queries, clean.gallery).argsort(1)
            self.others = order.gather(1, places[:, None])[:, 0]
        else:
            self.others = (torch.arange(n) + torch.randint(0, m, (n,), generator=generator)) % m

    def sides(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        others = self.clean.gallery[self.others]
        return distance(embeddings, others), distances(
            embeddings if self.query else others, self.clean.gallery
        )

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        if self.name == "tma":
            return F.cosine_similarity(embeddings, self.clean.gallery[self.others])
        pair, apart = self.sides(embeddings)
        ahead = pair[:, None] - apart
        hinge = (ahead if self.up else -ahead).clamp(min=0)
        return -hinge.scatter(1, self.others[:, None], 0).sum(1) / (apart.shape[1] - 1)

    def measures(self, embeddings: Tensor, rows: Tensor) -> dict[str, Tensor]:
        if self.name == "tma":
            return {"cosine": self.objective(embeddings, rows)}
        pair, apart = self.sides(embeddings)
        before = torch.searchsorted(apart.sort(1).values, pair[:, None])[:, 0]
        own = apart.gather(1, self.others[:, None])[:, 0] < pair
        return {"rank": (before - own.long()) / (apart.shape[1] - 1)}


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    faiss.omp_set_num_threads(settings["threads"])
    torch.manual_seed(0)
    size, queries, dimension = settings["gallery"], settings["queries"], settings["dimension"]
    centres = F.normalize(torch.randn(-(-size // PER_CLASS), dimension)) * dimension**0.5
    labels = torch.arange(size) // PER_CLASS
    chosen = torch.randperm(size)[:queries]
    gallery = scatter(labels, centres, NOISE)
    clean = Clean(scatter(labels[chosen], centres, NOISE), labels[chosen], (gallery, labels))
    moved = F.normalize(clean.queries + MOVE * F.normalize(torch.randn(queries, dimension)))
    rows = torch.arange(queries)
    construct = {"ours": make, "plain": Plain}[settings["side"]]
    made = {}

    def targets(name: str) -> dict:
        made[name] = construct(name, clean, torch_generator(0, "attack"))
        return {}

    def objective(name: str) -> dict:
        place = moved.clone().requires_grad_(True)
        value = made[name].objective(place, rows)
        (gradient,) = torch.autograd.grad(value.sum(), place)
        return {"found": [float(value.detach().mean()), float(gradient.norm(dim=1).mean())]}

    def scores(name: str) -> dict:
        (found,) = made[name].measures(moved, rows).values()
        return {"found": [float(found.mean())]}

    work = {"targets": targets, "objective": objective, "scores": scores}
    serve(
        {
            f"{what} {name}": functools.partial(function, name)
            for name in settings["attacks"]
            for what, function in work.items()
        }
    )


if __name__ == "__main__":
    main()
