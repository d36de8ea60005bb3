"""What generators have in common: inner layers, one outer convolution, and an activation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError, did_you_mean

#: Output activations. ``relu`` gives images that are not bounded above.
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


class Generator(nn.Module):
    """``activation(outer(inner(z)))``.

    Args:
        inner: (b, latent) -> feature maps.
        outer: the last convolution and its BatchNorm, feature maps -> (b, C, H, W).
        activation: a key of ``ACTIVATIONS``.

    Raises:
        GauntletError: unknown activation.
    """

    def __init__(self, inner: nn.Module, outer: nn.Module, activation: str):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise GauntletError(
                f"unknown activation {activation!r}",
                key="activation",
                remedy=did_you_mean(activation, ACTIVATIONS),
            )
        self.inner, self.outer, self.activation = inner, outer, ACTIVATIONS[activation]

    def forward(self, z: Tensor) -> Tensor:
        """(b, latent) -> (b, C, H, W)."""
        return self.activation(self.outer(self.inner(z)))


@torch.no_grad()
def without_negative_weights(generator: nn.Module) -> nn.Module:
    """Set negative weights of convolutions to 0, in place; biases stay.

    A fresh generator's images then spread over more of a target's classes (the TandemGAN release, for
    MNIST-like images and SVHN).
    """
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.clamp_(min=0)
    return generator
