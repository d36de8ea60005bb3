"""BN-Inception as Proxy-Anchor starts from it: trained in Caffe, converted for ``pretrainedmodels``.

It expects BGR images in [0, 255] minus (104, 117, 128), which are here numbers for RGB images in [0, 1].
"""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.models.weights.base import Pretrained


@register("weights", "bn_inception")
def bn_inception() -> Pretrained:
    return Pretrained(
        "bn_inception",
        "bn_inception-52deb4733.pth",
        classifier="last_linear.",
        names={r"^(inception_..)_": r"\1."},
        mean=(128 / 255, 117 / 255, 104 / 255),
        std=(1 / 255, 1 / 255, 1 / 255),
        bgr="conv1_7x7_s2.weight",
    )
