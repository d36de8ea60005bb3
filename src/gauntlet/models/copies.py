"""Copies of any network in one program: stacked where its layers are known, else by ``torch.func.vmap``."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gauntlet.core.errors import GauntletError
from gauntlet.models.stacked import Stacked

#: A model: parameters and running statistics by name.
State = dict[str, Tensor]


class Mapped:
    """As ``models.stacked.Stacked``, for networks with other layers or with branches, such as residual ones.

    Raises:
        GauntletError: a network with dropout: copies would not draw what each draws alone.
    """

    def __init__(self, net: nn.Module):
        if any(isinstance(module, _DropoutNd) for module in net.modules()):
            raise GauntletError(
                "copies of a network with dropout cannot run in one program", remedy="choose another network"
            )
        self.net = net

    def __call__(self, tensors: State, images: Tensor, training: bool) -> Tensor:
        """(K, b, outputs) logits of every copy; see ``Stacked``. Leaves ``net`` in the mode of the call."""
        from torch.func import functional_call, vmap

        self.net.train(training)
        if len(next(iter(tensors.values()))) == 1:  # vmap over one copy costs, and gains nothing
            state = {name: value[0] for name, value in tensors.items()}
            return functional_call(self.net, state, (images if images.dim() == 4 else images[0],))[None]
        run = vmap(
            lambda state, pixels: functional_call(self.net, state, (pixels,)),
            in_dims=(0, None if images.dim() == 4 else 0),
        )
        return run(tensors, images)


def copies(net: nn.Module, twice: bool = False) -> Stacked | Mapped:
    """What runs K copies of ``net``, each with weights of its own; ``twice`` as in ``Stacked``.

    Raises:
        GauntletError: see ``Mapped``.
    """
    try:
        return Stacked(net, twice)
    except GauntletError:
        return Mapped(net)


def state_of(net: nn.Module) -> State:
    """Parameters and running statistics. The counters of BatchNorm are left out: nothing reads them."""
    return {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
