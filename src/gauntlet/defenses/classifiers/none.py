"""No defense: the cross-entropy."""

from __future__ import annotations

import torch.nn.functional as F

from gauntlet.core.registry import register
from gauntlet.defenses.classifiers.base import Defense


@register("classifier_defense", "none")
class NoDefense(Defense):
    """Minimise CE(f(x), y)."""

    def loss(self, model, images, labels):
        return F.cross_entropy(model.logits(images), labels)
