"""Gradients of single examples and of batches, many at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.models.copies import State, copies

#: Most numbers in one block of gradients, which bounds memory, and most gradients in it.
NUMBERS, BLOCK = 2**24, 64


def of_batches(net: nn.Module, state: State, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
    """The gradient of every batch's mean cross-entropy, in blocks (b, P) in the order of the batches.

    In eval mode: running statistics are used and stay. P entries in the order of ``net.named_parameters()``,
    as in ``flat``.

    Args:
        net: the architecture.
        state: its weights, on the device of the images.
        images: (B, s, C, H, W) in [0, 1].
        labels: (B, s) classes, on the same device.
    """
    names = [name for name, _ in net.named_parameters()]
    run = copies(net)
    size = max(1, min(BLOCK, NUMBERS // sum(state[name].numel() for name in names)))
    for pixels, classes in zip(images.split(size), labels.split(size), strict=True):
        # A copy per batch, so that the gradient of a copy is that of its batch.
        tensors = {name: value.detach().expand(len(pixels), *value.shape) for name, value in state.items()}
        tensors |= {name: tensors[name].clone().requires_grad_() for name in names}
        logits = run(tensors, pixels, training=False)
        losses = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
        loss = losses.view(classes.shape).mean(dim=1).sum()
        found = torch.autograd.grad(loss, [tensors[name] for name in names])
        yield torch.cat([gradient.flatten(1) for gradient in found], dim=1)


def of_examples(net: nn.Module, state: State, images: Tensor, labels) -> Iterator[Tensor]:
    """The gradient of every example's own cross-entropy: (n, C, H, W) and (n,) as batches of one."""
    labels = torch.as_tensor(labels, device=images.device)
    return of_batches(net, state, images[:, None], labels[:, None])


def flat(net: nn.Module, state: State) -> Tensor:
    """(P,) the parameters of ``state`` side by side."""
    return torch.cat([state[name].flatten() for name, _ in net.named_parameters()])
