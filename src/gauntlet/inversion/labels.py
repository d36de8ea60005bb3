"""The labels of a client's images from what its update says about the last layer.

For cross-entropy the gradient of the head's bias is ``mean_i (p_ij - [y_i = j])``, and that of a row of its
weight the same with each term times the features that image i brings to the head. All of it is averaged over
the observed rounds. Inferred labels are in ascending order: an update does not tell the order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.inversion.observation import Observation

#: The name for labels that are searched together with the images (Zhu et al. 2019).
SOFT = "soft"
#: Noise images on which a network's mean answers are taken, and the seed that they are always drawn with.
PROBES, PROBE_SEED = 64, 0


@dataclass(frozen=True)
class Clue:
    """One target's observations. ``net`` is in eval mode; images are (C, H, W) of ``shape``."""

    net: nn.Module
    observations: list[Observation]
    shape: tuple[int, ...]
    classes: int

    @property
    def images(self) -> int:
        return self.observations[0].images

    @cached_property
    def head(self) -> tuple[str, nn.Linear]:
        """Name and module of the last layer. Raises GauntletError when it is not linear with a row per
        class."""
        linear = [(name, part) for name, part in self.net.named_modules() if isinstance(part, nn.Linear)]
        if not linear or linear[-1][1].out_features != self.classes:
            raise GauntletError(
                "labels cannot be inferred: the network does not end in a linear layer",
                remedy="give the labels, or set labels: soft",
            )
        return linear[-1]

    def seen(self, one: Observation, tensor: str) -> Tensor:
        """One round's gradient of the head's ``weight`` (classes, d) or ``bias`` (classes,); up to a positive
        factor where the learning rate is unknown."""
        name = f"{self.head[0]}.{tensor}".removeprefix(".")
        return one.update[name] / ((one.lr or 1.0) * one.steps)

    @cached_property
    def weight(self) -> Tensor:
        """(classes, d) gradient of the head's weight, mean over the rounds."""
        return torch.stack([self.seen(one, "weight") for one in self.observations]).mean(0)

    @cached_property
    def rows(self) -> Tensor:
        """(classes,) sums over the rows of the head's weight gradient."""
        return self.weight.sum(1)


def given(clue: Clue) -> Tensor:
    """The labels that the observation has, in its order. Raises GauntletError when it has none."""
    labels = clue.observations[0].labels
    if labels is None:
        names = ", ".join(sorted({*LABELS, SOFT} - {"given"}))
        raise GauntletError("an observation has no labels", remedy=f"set labels to one of {names}")
    return labels


def idlg(clue: Clue) -> Tensor:
    """Of a single image: the class with the least row sum, the only negative one behind features that are not
    negative (Zhao et al. 2020). Raises GauntletError for several images."""
    if clue.images != 1:
        raise GauntletError(
            f"idlg infers the label of one image, not of {clue.images}",
            remedy="set labels: yin, llg or counts",
        )
    return clue.rows.argmin().view(1)


def yin(clue: Clue) -> Tensor:
    """The n classes whose rows have the least minima; for labels that are all different (Yin et al. 2021).
    Raises GauntletError for more images than classes."""
    if clue.images > clue.classes:
        raise GauntletError(
            f"yin infers labels that are all different; {clue.images} images have {clue.classes} classes",
            remedy="set labels: llg or counts",
        )
    return clue.weight.amin(1).argsort(stable=True)[: clue.images].sort().values


def llg(clue: Clue) -> Tensor:
    """Row by row, the most negative sum first, each label raising its sum by the mean impact of one image,
    ``m = (1 + 1/C) / n`` times the sum of the negative sums (Wainakh et al. 2022, LLG)."""
    rows = clue.rows.clone()
    impact = rows.clamp(max=0).sum() * (1 + 1 / clue.classes) / clue.images
    found = []
    negative = (rows < 0).nonzero().flatten()
    for label in negative[rows[negative].argsort(stable=True)][: clue.images].tolist():
        found.append(label)
        rows[label] -= impact
    while len(found) < clue.images:
        found.append(int(rows.argmin()))
        rows[found[-1]] -= impact
    return torch.tensor(sorted(found))


def counts(clue: Clue) -> Tensor:
    """Images per class ``n (p_j - b_j)``, p the network's mean answer and b the bias's gradient, rounded to n
    in all.

    p is taken on noise images, before and after training, and interpolated over the local steps. A head
    without bias gives ``n (p_j - r_j / O)``, r the row sums and O the mean sum of the features (Geng et al.
    2021, as Dimitrov et al. 2022 use it). Exact where p is.

    Raises:
        GauntletError: a learning rate is unknown, or the features of a head without bias sum to 0.
    """
    raw = torch.stack([_shares(clue, one) for one in clue.observations]).mean(0) * clue.images
    if not raw.isfinite().all():
        raise GauntletError("the features before the last layer sum to 0", remedy="set labels: llg")
    return torch.arange(clue.classes).repeat_interleave(_whole(raw.cpu(), clue.images))


def _shares(clue: Clue, one: Observation) -> Tensor:
    """(classes,) estimated share of each class, from one round."""
    if one.lr is None:
        raise GauntletError(
            "counts of labels need the size of a gradient, but an observation has no learning rate",
            remedy="give its lr, or set labels: llg",
        )
    head = clue.head[1]
    after = one.weights | {key: one.weights[key] - change for key, change in one.update.items()}
    ends = [_answers(clue, head, weights) for weights in (one.weights, after)]
    at = (
        torch.arange(one.steps, device=ends[0][0].device)[:, None] / one.steps
    )  # where each local step begins
    p, features = ((1 - at) * first + at * last for first, last in zip(*ends, strict=True))
    if head.bias is not None:
        return (p - clue.seen(one, "bias")).mean(0)
    return (p - clue.seen(one, "weight").sum(1) / features).mean(0)


def _answers(clue: Clue, head: nn.Linear, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(classes,) mean probabilities and (1,) mean sum of the head's inputs, on noise images."""
    like = next(iter(weights.values()))
    noise = torch.rand((PROBES, *clue.shape), generator=torch.Generator().manual_seed(PROBE_SEED)).to(like)
    inputs: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    try:
        with torch.no_grad():
            logits = functional_call(clue.net, weights, (noise,))
    finally:
        handle.remove()
    return logits.softmax(1).mean(0), inputs[0].sum(1).mean().view(1)


def _whole(raw: Tensor, total: int) -> Tensor:
    """The whole numbers, not negative and ``total`` in sum, that are nearest to ``raw``."""
    raw = raw.clamp(0, total)
    found = raw.floor()
    while found.sum() < total:
        found[(raw - found).argmax()] += 1
    while found.sum() > total:
        found[torch.where(found > 0, raw - found, torch.inf).argmin()] -= 1
    return found.long()


LABELS: dict[str, Callable[[Clue], Tensor]] = {
    "given": given,
    "idlg": idlg,
    "yin": yin,
    "llg": llg,
    "counts": counts,
}


def known(name: str) -> str:
    """``name``, once it is sure that it is one of ``LABELS`` or ``soft``; else raises GauntletError."""
    if name not in (*LABELS, SOFT):
        raise GauntletError(
            f"unknown labels {name!r}", key="labels", remedy=did_you_mean(name, (*LABELS, SOFT))
        )
    return name


def infer(name: str, clue: Clue) -> Tensor:
    """(n,) int64 labels of one target, on the CPU.

    Raises:
        GauntletError: this way does not work for what was observed.
    """
    return LABELS[name](clue).long().cpu()
