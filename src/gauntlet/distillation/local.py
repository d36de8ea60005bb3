"""The private baseline: clients that share nothing."""

from __future__ import annotations

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register


@register("distillation", "local")
class Local:
    """Every client trains a model of its own on its own images, by SGD on the cross-entropy.

    Args:
        epochs: over the client's images per round.
        batch, lr, momentum, weight_decay: of the SGD, which starts afresh in every round.
    """

    shares = False

    def __init__(
        self,
        epochs: int = 1,
        batch: int = 10,
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ):
        if epochs < 1 or batch < 1:
            raise GauntletError(
                f"{epochs} epochs in batches of {batch}", key="method.options", remedy="give at least 1"
            )
        self.epochs, self.batch, self.lr = epochs, batch, lr
        self.momentum, self.weight_decay = momentum, weight_decay
