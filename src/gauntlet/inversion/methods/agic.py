"""AGIC (Xu et al. 2022, arXiv 2204.13784): approximate inversion of updates, with layer weights."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.layer_weights import Weighting


@register("inversion", "agic")
class Agic(Inversion):
    """Minimise ``sum_e c_e(x) + tv TV(x)`` over the observed rounds e: c_e is one weighted cosine between the
    update and the gradient of all images as one batch, at the weights that the server sent.

    The search is that of ``ig``, which this is for one round and ``weighting: equal``.

    Args:
        weighting: how layers count: ``equal``, ``linear``, ``log``, ``quadratic``, ``exponential``,
            ``power``, ``reversed`` or ``inverse_variance`` (``layer_weights``). The abstract says that
            weights increase; linear is what the authors' later code uses.
        scale: weight of the last layer before the head, where the first has 1; 50 in that code.
        preserve: divide weights by the share of entries that are not zero, for sparsified updates.
        tv, rate, start, labels: as in ``ig``.
    """

    def __init__(
        self,
        weighting: str = "linear",
        scale: float = 20.0,
        preserve: bool = False,
        tv: float = 0.01,
        rate: float = 0.1,
        start: str = "normal",
        labels: str = "given",
    ):
        super().__init__(
            weighting=Weighting(weighting, scale, preserve),
            priors={"total_variation": tv},
            rate=rate,
            signed=True,
            start=start,
            source=labels,
        )
