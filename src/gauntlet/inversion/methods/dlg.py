"""Deep leakage from gradients (Zhu et al. 2019, arXiv 1906.08935)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.searches import Lbfgs


@register("inversion", "dlg")
class DeepLeakage(Inversion):
    """Minimise ``||grad l(w; x, softmax(y)) - g*||^2`` over images x and soft labels y by L-BFGS.

    There is no box and no line search; it diverges now and then, and more restarts help. An update is taken
    for one gradient.

    Args:
        rate: length of a step, 1 in the paper; there is no line search.
        history: of L-BFGS.
        start: ``normal``, ``uniform`` or ``grey``.
    """

    def __init__(self, rate: float = 1.0, history: int = 100, start: str = "normal"):
        super().__init__(
            source="soft", distance="l2", search=Lbfgs(history), rate=rate, start=start, boxed=False
        )
