"""Several copies of one network, each with weights of its own, in one program.

Small batches leave most of a step to overhead: K copies as one grouped convolution take far less than K
steps. The copies never mix, so each computes what it would alone, up to rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError


def stack(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """K states of equal shapes -> one with a leading dimension K."""
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


class Stacked:
    """Runs copies of ``net``, an ``nn.Sequential`` of the layers below.

    Knows Conv2d (ungrouped), BatchNorm2d, GroupNorm, ReLU, MaxPool2d, AvgPool2d, Flatten and Linear.

    Args:
        net: the network; its own weights are not used.
        twice: gradients will be differentiated: the same values up to rounding, by what is fast then.

    Raises:
        GauntletError: another layer, or one with a setting that copies do not honour.
    """

    def __init__(self, net: nn.Sequential, twice: bool = False):
        self.layers = []
        children = net.named_children() if isinstance(net, nn.Sequential) else [("", net)]
        for name, layer in children:
            run = RUN.get(type(layer))
            if run is None or not _honoured(layer):
                raise GauntletError(
                    f"copies of a network with a layer {type(layer).__name__} cannot be stacked",
                    key="train.mode",
                    remedy="set mode: sequential",
                )
            self.layers.append((name, layer, _conv_as_product if twice and run is _conv else run))
        # Means over the pixels of a channel are faster where they lie together; all else where channels do.
        grouped = any(isinstance(layer, nn.GroupNorm) for _, layer, _ in self.layers)
        self.layout = torch.contiguous_format if grouped or twice else torch.channels_last

    def __call__(self, tensors: dict[str, Tensor], images: Tensor, training: bool) -> Tensor:
        """Logits of every copy.

        Args:
            tensors: parameters and buffers by their names in the state dict, each (K, ...). Running
                statistics are updated in place when training.
            images: (K, b, C, h, w), a batch for each copy; or (b, C, h, w), the same for all.
            training: use and update batch statistics.

        Returns: (K, b, outputs).
        """
        copies = len(next(iter(tensors.values())))
        shared = images.dim() == 4
        x = images if shared else images.transpose(0, 1).flatten(1, 2)
        x = x.contiguous(memory_format=self.layout)
        for name, layer, run in self.layers:
            own = {key: tensors.get(f"{name}.{key}") for key in TENSORS.get(type(layer), ())}
            x = run(layer, own, x, copies, training, shared)
            if isinstance(layer, nn.Conv2d):
                # The layout of one-channel images is ambiguous and would be lost here.
                x = x.contiguous(memory_format=self.layout)
            shared = shared and not own and not isinstance(layer, nn.Flatten)
        return x


def _honoured(layer: nn.Module) -> bool:
    if isinstance(layer, nn.BatchNorm2d):
        needed = (layer.momentum, layer.weight, layer.bias, layer.running_mean)
        return all(value is not None for value in needed)
    if isinstance(layer, nn.GroupNorm):
        return layer.affine
    return all(getattr(layer, name, value) == value for name, value in ONLY.items())


def _conv(layer, own, x, copies, training, shared):
    weight, bias = own["weight"].flatten(0, 1), own["bias"]
    bias = None if bias is None else bias.flatten()
    groups = 1 if shared else copies  # copies that read the same images are one convolution
    return F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, groups)


def _conv_as_product(layer, own, x, copies, training, shared):
    """A convolution as one product of matrices per copy, while its columns are few.

    PyTorch differentiates the gradient of a grouped convolution group by group, that of a batched product at
    once.
    """
    if shared or isinstance(layer.padding, str):
        return _conv(layer, own, x, copies, training, shared)
    sides = zip(x.shape[2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    height, width = ((n + 2 * pad - gap * (k - 1) - 1) // step + 1 for n, k, step, pad, gap in sides)
    batch, positions = len(x), height * width
    if batch * positions > COLUMNS:
        return _conv(layer, own, x, copies, training, shared)
    columns = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    columns = columns.view(batch, copies, -1, positions).permute(1, 2, 0, 3)
    columns = columns.reshape(copies, -1, batch * positions)
    weight, bias = own["weight"].flatten(2), own["bias"]
    out = torch.bmm(weight, columns) if bias is None else torch.baddbmm(bias[..., None], weight, columns)
    return out.view(-1, batch, height, width).transpose(0, 1)


def _norm(layer, own, x, copies, training, shared):
    if shared:
        x = x.repeat(1, copies, 1, 1)
    mean, var, weight, bias = (own[key].flatten() for key in TENSORS[nn.BatchNorm2d])
    return F.batch_norm(x, mean, var, weight, bias, training, layer.momentum, layer.eps)


def _group_norm(layer, own, x, copies, training, shared):
    if shared:
        x = x.repeat(1, copies, 1, 1)
    weight, bias = own["weight"].flatten(), own["bias"].flatten()
    return F.group_norm(x, copies * layer.num_groups, weight, bias, layer.eps)


def _relu(layer, own, x, copies, training, shared):
    return F.relu(x)


def _pool(layer, own, x, copies, training, shared):
    return F.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)


def _mean_pool(layer, own, x, copies, training, shared):
    return layer(x)


def _flatten(layer, own, x, copies, training, shared):
    """To (K, b, features): from here on copies are a batch of matrices."""
    if shared:
        return x.flatten(1).expand(copies, -1, -1)
    return x.reshape(len(x), copies, -1).transpose(0, 1)


def _linear(layer, own, x, copies, training, shared):
    weight = own["weight"].transpose(1, 2)
    return torch.bmm(x, weight) if own["bias"] is None else torch.baddbmm(own["bias"][:, None], x, weight)


#: Most positions, in all images of a copy's batch, at which a convolution was faster as a product on a CPU.
COLUMNS = 256
RUN = {
    nn.Conv2d: _conv,
    nn.BatchNorm2d: _norm,
    nn.GroupNorm: _group_norm,
    nn.ReLU: _relu,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _mean_pool,
    nn.Flatten: _flatten,
    nn.Linear: _linear,
}
#: Settings of layers that must have one value.
ONLY = {"groups": 1, "padding_mode": "zeros", "return_indices": False, "start_dim": 1, "end_dim": -1}
TENSORS = {
    nn.Conv2d: ("weight", "bias"),
    nn.BatchNorm2d: ("running_mean", "running_var", "weight", "bias"),
    nn.GroupNorm: ("weight", "bias"),
    nn.Linear: ("weight", "bias"),
}
