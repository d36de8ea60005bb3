"""Triplets of a batch, by the miners of pytorch-metric-learning."""

from __future__ import annotations

import torch
from pytorch_metric_learning import miners
from pytorch_metric_learning.utils.loss_and_miner_utils import get_random_triplet_indices
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.losses.base import Loss, Triplets


def distance_weighted(embeddings: Tensor, labels: Tensor, margin: float):
    """Negatives at all distances alike (Wu et al. 2017, arXiv 1706.07567, section 4), between 0.5 and 1.4."""
    return miners.DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4)(embeddings, labels)


def semihard(embeddings: Tensor, labels: Tensor, margin: float):
    """Negatives farther than the positive by less than the margin (Schroff et al. 2015, arXiv 1503.03832)."""
    return miners.TripletMarginMiner(margin, type_of_triplets="semihard")(embeddings, labels)


def uniform(embeddings: Tensor, labels: Tensor, margin: float):
    """Any positive with any negative."""
    return get_random_triplet_indices(labels)


MINERS = {"distance_weighted": distance_weighted, "semihard": semihard, "uniform": uniform}


class Mined(Loss):
    """Base of losses on mined triplets.

    Mining is done on the CPU, so that devices agree.
    """

    miner: str
    per_anchor: int | None
    #: What the miner takes for the margin of the loss (a distance).
    margin: float

    def mine(self, embeddings: Tensor, labels: Tensor, generator: torch.Generator) -> Triplets:
        device, embeddings, labels = labels.device, embeddings.detach().cpu(), labels.cpu()
        counts = torch.unique(labels, return_counts=True)[1]
        if len(counts) < 2 or counts.max() < 2:
            what = "no two images of one class" if len(counts) > 1 else "images of one class only"
            raise GauntletError(
                f"a batch of {len(labels)} has {what}, so it has no triplets",
                key="train.sampler",
                remedy="set sampler: balanced, with per_class below the batch",
            )
        with torch.random.fork_rng(devices=[]):  # the miners draw from the global generator
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            found = MINERS[self.miner](embeddings, labels, self.margin)
        triplets = Triplets(*(rows.to(torch.int64) for rows in found))
        if self.per_anchor is not None:
            triplets = at_most(triplets, self.per_anchor, generator)
        return Triplets(*(rows.to(device) for rows in triplets))


def at_most(triplets: Triplets, count: int, generator: torch.Generator) -> Triplets:
    """``count`` random triplets of every anchor, or all where there are fewer; by ascending anchor."""
    order = torch.randperm(len(triplets.anchor), generator=generator)
    order = order[triplets.anchor[order].argsort(stable=True)]
    anchors = triplets.anchor[order]
    first = torch.searchsorted(anchors, anchors)  # where this anchor's run begins
    kept = order[torch.arange(len(order)) - first < count]
    return Triplets(*(rows[kept] for rows in triplets))
