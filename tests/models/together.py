"""Run by torchrun: a shared network has the outputs, gradients and statistics of one that is not shared."""

import copy
import sys

import torch

from gauntlet.core import processes
from gauntlet.models import build
from gauntlet.models.frozen import freeze_batchnorm
from gauntlet.models.shared import share


def network(kind):
    torch.manual_seed(0)
    if kind == "conv":
        return build("conv", 1, 8, 4).double().train()
    net = build("resnet18", 3, 8, 4).double().train()
    if kind == "frozen":
        freeze_batchnorm(net.features)
        with torch.no_grad():  # statistics that are not those of the batch
            for buffer in net.buffers():
                if buffer.dtype.is_floating_point:
                    buffer.add_(torch.rand_like(buffer))
    return net


def everything(net, images):
    """Outputs, gradients of a loss that couples all images, and the statistics afterwards."""
    images = images.clone().requires_grad_(True)
    out = net(images)
    assert len(out) == len(images)
    first = torch.pdist(out).mean()
    loss = (
        first + torch.pdist(net(images.flip(0))).square().mean()
    )  # two passes, as attacks and mixtures make
    wanted = [images, *(p for p in net.parameters() if p.requires_grad)]
    return [out.detach(), *torch.autograd.grad(loss, wanted), *net.buffers()]


processes.join(torch.device("cpu"))
assert processes.count() == 2
for kind in ("conv", "trained", "frozen"):
    for count in (2, 5, 8):
        alone = network(kind)
        together = share(copy.deepcopy(alone))
        images = torch.rand(count, 1 if kind == "conv" else 3, 8, 8).double()
        for mine, theirs in zip(everything(together, images), everything(alone, images), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
        assert together.state_dict().keys() == alone.state_dict().keys()
try:
    together(torch.rand(1, 3, 8, 8).double())
except Exception as error:
    print(f"rank {processes.rank()}: {error}", file=sys.stderr)
else:
    raise AssertionError("a batch of one image was shared by two processes")
