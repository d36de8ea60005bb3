"""Pruned representations (Soteria: Sun et al. 2021, arXiv 2012.06043, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Client, Tensors, UpdateDefense


@register("update_defense", "soteria")
class Soteria(UpdateDefense):
    """Sends 0 for the weights of the first linear layer that belong to the entries of its input (the
    representation r of an image X) which say most about the image.

    The paper prunes the entries with the largest ``|r_i| / ||dr_i / dX||_2``, so that what is
    left leads furthest from X; as in the release, the values are means over a client's images and the layer's
    gradient is what is pruned. Here that is the update, whatever number of steps it holds, and an entry's
    mean is over the images in which it is not 0, since only these show in the update.

    Args:
        share: of the entries that are pruned, in (0, 1].
        images: the most of a client's images that are looked at; each costs one backward pass per entry.
    """

    def __init__(self, share: float = 0.1, images: int = 8):
        if not 0 < share <= 1 or images < 1:
            raise GauntletError(
                f"share must be in (0, 1] and images positive (got {share}, {images})", key="method.defenses"
            )
        self.share, self.images = share, images

    def update(self, update: Tensors, client: Client) -> Tensors:
        name, layer = first_linear(client.net)
        scores = torch.stack(
            [relevance(client.net, layer, client.before, image) for image in client.images[: self.images]]
        )
        active = scores > 0
        means = scores.sum(0) / active.sum(0).clamp(min=1)
        pruned = means.topk(round(self.share * len(means))).indices
        weight = update[f"{name}.weight"].clone()
        weight[:, pruned] = 0
        return {**update, f"{name}.weight": weight}


def relevance(net: nn.Module, layer: nn.Linear, state: Tensors, image: Tensor) -> Tensor:
    """(D,) ``|r_i| / ||dr_i / dX||`` of one (C, H, W) image under a model; 0 where r_i is 0."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def representation(pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen.clear()
        functional_call(net, state, (pixels[None],))
        return seen[0][0], seen[0][0]

    try:
        jacobian, values = jacrev(representation, has_aux=True, chunk_size=256)(image)
    finally:
        hook.remove()
    slope = jacobian.flatten(1).norm(dim=1)
    return torch.where(values == 0, 0.0, values.abs() / slope.clamp(min=1e-12)).detach()


def first_linear(net: nn.Module) -> tuple[str, nn.Linear]:
    """The first linear layer and its name. Raises GauntletError where there is none."""
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Linear):
            return name, layer
    raise GauntletError(
        "soteria needs a linear layer", key="architecture", remedy="choose a network that has one"
    )
