"""A property of batches, read from updates (Melis et al. 2019, arXiv 1805.04049)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor, nn

from gauntlet.attributes.learned import Learned
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.models.copies import State
from gauntlet.models.gradients import of_batches


@register("attribute_inference", "update_property")
class UpdateProperty(Learned):
    """A random forest from updates to the property, learned on updates that the adversary made itself, of
    batches with the property and of batches without.

    Rows are updates: ``gradients`` of ``batches``, or what a client's training makes of such batches.

    Args:
        trees: of the forest.
    """

    def __init__(self, trees: int = 100):
        self.trees = trees

    def classifier(self, seed: int) -> RandomForestClassifier:
        return RandomForestClassifier(self.trees, random_state=seed)


def batches(
    attributes: np.ndarray, labels: np.ndarray, size: int, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Batches of one value of a binary attribute each, half of them of either.

    Classes are drawn uniformly, in the same order for a batch with the property and for its twin without: no
    label tells them apart.

    Args:
        attributes, labels: (n,), 0 or 1, and classes.
        size: images of a batch, drawn with replacement.
        count: batches, an even number.

    Returns:
        (count, size) rows and the (count,) property, int64.

    Raises:
        GauntletError: an odd count, or a class that lacks a value of the attribute.
    """
    if count % 2:
        raise GauntletError(f"{count} batches are no pairs", remedy="choose an even number")
    drawn = generator.choice(np.unique(labels), size=(count // 2, size))
    rows = np.empty((2, count // 2, size), dtype=np.int64)
    for label in np.unique(drawn):
        for value in (0, 1):
            pool = np.flatnonzero((labels == label) & (attributes == value))
            if not len(pool):
                raise GauntletError(f"class {label} has no image with attribute {value}")
            at = drawn == label
            rows[value][at] = generator.choice(pool, size=int(at.sum()))
    return rows.reshape(count, size), np.repeat([0, 1], count // 2)


def gradients(net: nn.Module, state: State, images: Tensor, labels: Tensor, rows: np.ndarray) -> np.ndarray:
    """(count, P) float32: the direction of one step of SGD on each batch of ``rows`` (count, size), uphill;
    see ``models.gradients``."""
    at = torch.as_tensor(rows, device=images.device)
    return torch.cat(list(of_batches(net, state, images[at], labels[at]))).cpu().numpy()
