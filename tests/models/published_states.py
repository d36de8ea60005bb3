"""State dicts as they are published: torchvision's own, and BN-Inception's from its table."""

import torch
import torchvision

#: Block: inputs, then output channels of 1x1, 3x3 reduce, 3x3, double reduce, double 1, double 2, projection.
TABLE = {
    "3a": (192, 64, 64, 64, 64, 96, 96, 32),
    "3b": (256, 64, 64, 96, 64, 96, 96, 64),
    "3c": (320, None, 128, 160, 64, 96, 96, None),
    "4a": (576, 224, 64, 96, 96, 128, 128, 128),
    "4b": (576, 192, 96, 128, 96, 128, 128, 128),
    "4c": (576, 160, 128, 160, 128, 160, 160, 128),
    "4d": (608, 96, 128, 192, 160, 192, 192, 128),
    "4e": (608, None, 128, 192, 192, 256, 256, None),
    "5a": (1056, 352, 192, 320, 160, 224, 224, 128),
    "5b": (1024, 352, 192, 320, 192, 224, 224, 128),
}
STEM = {"conv1_7x7_s2": (3, 64, 7), "conv2_3x3_reduce": (64, 64, 1), "conv2_3x3": (64, 192, 3)}


def convolutions() -> dict[str, tuple[int, int, int]]:
    """BN-Inception's convolutions by their published names: inputs, outputs, kernel."""
    found = dict(STEM)
    for block, (inputs, one, reduce, three, double, first, second, projection) in TABLE.items():
        rows = {
            "1x1": (inputs, one, 1),
            "3x3_reduce": (inputs, reduce, 1),
            "3x3": (reduce, three, 3),
            "double_3x3_reduce": (inputs, double, 1),
            "double_3x3_1": (double, first, 3),
            "double_3x3_2": (first, second, 3),
            "pool_proj": (inputs, projection, 1),
        }
        found |= {f"inception_{block}_{name}": row for name, row in rows.items() if row[1]}
    return found


def bn_inception() -> dict[str, torch.Tensor]:
    """Random weights in the form of old files: no counts of batches, BatchNorm vectors of shape (1, n)."""
    state = {}
    for name, (inputs, outputs, kernel) in convolutions().items():
        scale = (2 / (inputs * kernel**2)) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel) * scale
        state[f"{name}.bias"] = torch.randn(outputs) * 0.1
        for vector in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}_bn.{vector}"] = torch.rand(1, outputs) + 0.5
    state["conv1_7x7_s2_bn.running_var"] *= 1e4  # what [0, 255] gives
    state["last_linear.weight"] = torch.randn(1000, 1024)
    state["last_linear.bias"] = torch.randn(1000)
    return state


def torchvision_net(name: str) -> torch.nn.Module:
    """An untrained network of torchvision whose BatchNorms are not the identity, in eval mode."""
    net = torchvision.models.get_model(name, weights=None)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, std=0.1)
    return net.eval()
