"""Improved deep leakage (Zhao, Mopuri and Bilen 2020, arXiv 2001.02610): the label first."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.searches import Lbfgs


@register("inversion", "idlg")
class ImprovedDeepLeakage(Inversion):
    """``dlg`` with labels that are inferred beforehand, and so over images alone.

    Args:
        rate, history, start: as in ``dlg``.
        labels: how; ``idlg`` is for one image.
    """

    def __init__(self, rate: float = 1.0, history: int = 100, start: str = "normal", labels: str = "idlg"):
        super().__init__(
            source=labels, distance="l2", search=Lbfgs(history), rate=rate, start=start, boxed=False
        )
