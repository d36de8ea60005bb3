"""BN-Inception (Ioffe and Szegedy 2015, arXiv 1502.03167, figure 5), adapted to small images.

The widths are those of the network that was trained in Caffe and is used in metric learning, Proxy-Anchor
among others: 4c and 4d give 608 channels, 576 in the paper's figure.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.core.registry import register
from gauntlet.models.head import EmbeddingNetwork

#: Block: 1x1 | 3x3 reduce, 3x3 | double 3x3 reduce, first and second | pool, projection. All are numbers of
#: output channels. A block without 1x1 and projection has stride 2 and passes its pooled input on.
BLOCKS = {
    "3a": (64, (64, 64), (64, 96), ("average", 32)),
    "3b": (64, (64, 96), (64, 96), ("average", 64)),
    "3c": (0, (128, 160), (64, 96), ("max", 0)),
    "4a": (224, (64, 96), (96, 128), ("average", 128)),
    "4b": (192, (96, 128), (96, 128), ("average", 128)),
    "4c": (160, (128, 160), (128, 160), ("average", 128)),
    "4d": (96, (128, 192), (160, 192), ("average", 128)),
    "4e": (0, (128, 192), (192, 256), ("max", 0)),
    "5a": (352, (192, 320), (160, 224), ("average", 128)),
    "5b": (352, (192, 320), (192, 224), ("max", 128)),
}

#: The share of the batch in BatchNorm's running statistics, as in the Proxy-Anchor code.
MOMENTUM = 0.9


@register("model", "bn_inception")
class BNInception(EmbeddingNetwork):
    """The inception blocks under the embedding head, 1024 features wide, from random weights.

    Images of 32 pixels or fewer get a 3x3 convolution of stride 1 instead of the 7x7 of stride 2, and no
    pooling after it, so that the deepest maps are 1/8 of the input instead of 1/32.

    Args:
        channels: image channels.
        size: image height and width.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, channels: int, size: int, embedding: int):
        features = Features(channels, small=size <= 32)
        super().__init__(features, features.width, embedding)


class Units(nn.Module):
    """Convolutions, each with BatchNorm and ReLU, by the names that the ImageNet weights give them."""

    def add(self, name: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> int:
        """A unit that keeps the map's size, up to its stride. Returns ``outputs``."""
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(conv.bias)
        self.add_module(name, conv)
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs, momentum=MOMENTUM))
        return outputs

    def run(self, name: str, x: Tensor) -> Tensor:
        return F.relu(getattr(self, f"{name}_bn")(getattr(self, name)(x)), inplace=True)


class Features(Units):
    """(b, channels, h, w) -> (b, 1024, h / 32, w / 32); h / 8 and w / 8 with the stem for small images."""

    def __init__(self, channels: int, small: bool):
        super().__init__()
        kernel, stride = (3, 1) if small else (7, 2)
        self.add("conv1_7x7_s2", channels, 64, kernel, stride)
        self.pool1 = nn.Identity() if small else _maximum()
        self.add("conv2_3x3_reduce", 64, 64)
        self.width = self.add("conv2_3x3", 64, 192, kernel=3)
        self.pool2 = _maximum()
        for name, widths in BLOCKS.items():
            block = Block(self.width, *widths)
            self.add_module(f"inception_{name}", block)
            self.width = block.width

    def forward(self, images: Tensor) -> Tensor:
        x = self.pool1(self.run("conv1_7x7_s2", images))
        x = self.pool2(self.run("conv2_3x3", self.run("conv2_3x3_reduce", x)))
        for name in BLOCKS:
            x = getattr(self, f"inception_{name}")(x)
        return x


class Block(Units):
    """The branches of one row of ``BLOCKS`` side by side: (b, inputs, h, w) -> (b, width, h, w).

    Of stride 2: (b, width, ceil(h / 2), ceil(w / 2)).
    """

    def __init__(
        self, inputs: int, one: int, three: tuple[int, int], double: tuple[int, int], pool: tuple[str, int]
    ):
        super().__init__()
        kind, projection = pool
        stride = 1 if one else 2
        self.paths = [("3x3_reduce", "3x3"), ("double_3x3_reduce", "double_3x3_1", "double_3x3_2")]
        if one:
            self.paths.insert(0, ("1x1",))
            self.add("1x1", inputs, one)
        self.add("3x3_reduce", inputs, three[0])
        self.add("3x3", *three, 3, stride)
        self.add("double_3x3_reduce", inputs, double[0])
        self.add("double_3x3_1", *double, 3)
        self.add("double_3x3_2", double[1], double[1], 3, stride)
        if stride == 2:
            self.pool = Halve()
        elif kind == "average":
            self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        else:
            self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.projects = bool(projection)
        if projection:
            self.add("pool_proj", inputs, projection)
        self.width = one + three[1] + double[1] + (projection or inputs)

    def forward(self, x: Tensor) -> Tensor:
        branches = []
        for path in self.paths:
            branch = x
            for name in path:
                branch = self.run(name, branch)
            branches.append(branch)
        pooled = self.pool(x)
        branches.append(self.run("pool_proj", pooled) if self.projects else pooled)
        return torch.cat(branches, dim=1)


def _maximum() -> nn.MaxPool2d:
    """3x3 maximum of stride 2 whose windows begin at the first pixel, as in Caffe: h -> floor(h / 2)."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class Halve(nn.Module):
    """The same, but h -> ceil(h / 2), like the convolutions beside it; the same for even h.

    Windows that begin at the last row or column see it alone: 0 is added, which no map here is below.
    """

    def __init__(self):
        super().__init__()
        self.pool = _maximum()

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2))
        return self.pool(x)
