"""torchvision's ResNet-50, IMAGENET1K_V1 (76.1% top-1)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.models.weights.base import RESIDUAL, Pretrained


@register("weights", "resnet50")
def resnet50() -> Pretrained:
    return Pretrained("resnet50", "resnet50-0676ba61.pth", classifier="fc.", names=RESIDUAL)
