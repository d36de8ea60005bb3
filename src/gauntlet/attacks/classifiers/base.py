"""What an attack on a classifier is, and the objectives that attacks climb."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.errors import GauntletError

#: (b, C, H, W) images in [0, 1] -> (b, K) logits, differentiable, in eval mode.
Logits = Callable[[Tensor], Tensor]


class Attack:
    """Base of all attacks on classifiers: white-box, in pixel space.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a configuration's
    ``options``.
    """

    def __call__(
        self,
        logits: Logits,
        x: Tensor,
        labels: Tensor,
        *,
        targeted: bool = False,
        generator: torch.Generator,
    ) -> Tensor:
        """Adversarial versions of ``x``.

        Args:
            logits: the network.
            x: (b, C, H, W) in [0, 1].
            labels: (b,) the class that each image should no longer be taken for.
            targeted: ``labels`` is what it should be taken for instead.
            generator: CPU generator of all random draws.

        Returns: (b, C, H, W) in [0, 1], detached. What one image becomes depends on no other image.
        """
        raise NotImplementedError


def untargeted_only(name: str, targeted: bool) -> None:
    """Raises GauntletError when a targeted attack is asked of one that has none."""
    if targeted:
        raise GauntletError(f"attack {name!r} has no targeted form", remedy="leave targeted out")


def cross_entropy(logits: Logits, labels: Tensor, targeted: bool) -> Callable[[Tensor], Tensor]:
    """(b,) objective to climb: the cross-entropy of ``labels``, or its negative towards them."""
    sign = -1.0 if targeted else 1.0
    return lambda x: sign * F.cross_entropy(logits(x), labels, reduction="none")


def margin(outputs: Tensor, labels: Tensor) -> Tensor:
    """(b,) the highest other logit less that of ``labels``: above 0 where an image is taken for another."""
    own = outputs.gather(1, labels[:, None])
    others = outputs.scatter(1, labels[:, None], float("-inf"))
    return others.amax(1) - own[:, 0]
