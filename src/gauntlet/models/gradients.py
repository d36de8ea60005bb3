"""Gradients of single examples and of batches, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.models.copies import Mapped, State, copies
from gauntlet.models.stacked import Stacked

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
    run, size = copies(net), at_once(state[name] for name in names)
    for pixels, classes in zip(images.split(size), labels.split(size), strict=True):
        # A copy per batch, so that the gradient of a copy is that of its batch.
        tensors = {name: value.detach().expand(len(pixels), *value.shape) for name, value in state.items()}
        found, _ = of_copies(run, tensors, names, pixels, classes, training=False)
        yield torch.cat([gradient.flatten(1) for gradient in found.values()], dim=1)


def of_copies(
    run: Stacked | Mapped, states: State, names: list[str], images: Tensor, labels: Tensor, training: bool
) -> tuple[State, Tensor]:
    """Each copy's gradient of the mean cross-entropy of its own batch, and that loss.

    Args:
        run: what runs the copies.
        states: of K copies, each tensor (K, ...); not changed, unless running statistics are updated.
        names: of the parameters.
        images: (K, s, C, H, W) in [0, 1].
        labels: (K, s) classes.
        training: see ``models.stacked.Stacked``.

    Returns: name -> (K, ...), and (K,).
    """
    parameters = {name: states[name].detach().requires_grad_() for name in names}
    with torch.enable_grad():
        logits = run(states | parameters, images, training)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.view(labels.shape).mean(dim=1)
        found = torch.autograd.grad(losses.sum(), list(parameters.values()))
    return dict(zip(names, found, strict=True)), losses.detach()


def at_once(parameters: Iterable[Tensor]) -> int:
    """How many gradients of one network are made in one program, given its parameters."""
    return max(1, min(BLOCK, NUMBERS // sum(value.numel() for value in parameters)))


def of_examples(net: nn.Module, state: State, images: Tensor, labels) -> Iterator[Tensor]:
    """The gradient of every example's own cross-entropy: (n, C, H, W) and (n,) as batches of one."""
    labels = torch.as_tensor(labels, device=images.device)
    return of_batches(net, state, images[:, None], labels[:, None])


def flat(net: nn.Module, state: State) -> Tensor:
    """(P,) the parameters of ``state`` side by side."""
    return torch.cat([state[name].flatten() for name, _ in net.named_parameters()])
