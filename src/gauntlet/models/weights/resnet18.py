"""torchvision's ResNet-18, IMAGENET1K_V1 (69.8% top-1)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.models.weights.base import RESIDUAL, Pretrained


@register("weights", "resnet18")
def resnet18() -> Pretrained:
    return Pretrained("resnet18", "resnet18-f37072fd.pth", classifier="fc.", names=RESIDUAL)
