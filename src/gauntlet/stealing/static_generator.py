"""The ablation of MEGA without generator updates."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.stealing.pooled import Pooled


@register("stealing", "static_generator")
class StaticGenerator(Pooled):
    """The substitute learns the target's labels of a fresh generator's images; the generator never changes.

    Labels are asked anew in every round, as the released routine counts them, although the answers are the
    same. Options: see ``Pooled``; those of the generator's updates are without effect.
    """

    def begin(self, setting) -> None:
        self.g_epochs = 0
        super().begin(setting)
