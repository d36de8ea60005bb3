"""torchvision's MobileNetV2, IMAGENET1K_V1 (71.9% top-1)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.models.weights.base import Pretrained


@register("weights", "mobilenet_v2")
def mobilenet_v2() -> Pretrained:
    return Pretrained(
        "mobilenet_v2",
        "mobilenet_v2-b0353104.pth",
        classifier="classifier.",
        names={r"^features\.": ""},
    )
