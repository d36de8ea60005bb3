"""Which parts of a network are trained."""

from __future__ import annotations

from torch import nn
from torch.nn import Parameter


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose statistics stay as they are, in training too."""

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        return super().train(False)


def freeze_batchnorm(net: nn.Module) -> nn.Module:
    """Freeze every BatchNorm of ``net``: eval mode, whatever ``net.train()`` says, and a fixed affine part.

    Done in place; names in the state dict stay. The usual way to fine-tune pretrained backbones on small
    datasets (the Proxy-Anchor code on CUB and CARS). Optimisers must leave the affine parts out:
    ``backbone_parameters`` does.

    Returns: ``net``.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = FrozenBatchNorm2d  # in place: what refers to the layer still does
            module.eval().requires_grad_(False)
    return net


def head_parameters(net: nn.Module) -> list[Parameter]:
    """What a warm-up trains, beside the proxies: the embedding head."""
    return list(net.head.parameters())


def backbone_parameters(net: nn.Module) -> list[Parameter]:
    """Everything trainable that is not in the head; frozen parameters are left out."""
    head = {id(parameter) for parameter in net.head.parameters()}
    return [p for p in net.parameters() if p.requires_grad and id(p) not in head]
