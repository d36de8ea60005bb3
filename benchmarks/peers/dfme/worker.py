"""Iterations of the code that DFME's authors published, on the networks of ``benchmarks/theft.py``."""

import contextlib
import io
import json
import sys
import tempfile
import time
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

import torch
from benchmarks.problem import synchronize
from benchmarks.theft import LATENT, Pair
from torch import nn

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
sys.path.insert(0, str(Path(settings["checkout"]) / "dfme"))
sys.modules["ipdb"] = types.ModuleType("ipdb")  # imported there, not used in training
with contextlib.redirect_stdout(io.StringIO()):
    import train

pair = Pair(settings["case"], settings["device"])


class Generator(nn.Module):
    """Ours under the call that the published loop makes."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, z, pre_x=False):
        before = self.net.outer(self.net.inner(z))
        return before if pre_x else self.net.activation(before)


generator = Generator(pair.generator)
rates = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
optimizers = (
    torch.optim.SGD(pair.substitute.parameters(), **rates),
    torch.optim.Adam(generator.parameters(), lr=1e-4),
)
folder = tempfile.TemporaryDirectory()
train.file = io.StringIO()  # its log
args = types.SimpleNamespace(
    epoch_itrs=1,
    g_iter=1,
    d_iter=5,
    batch_size=256,
    nz=LATENT,
    approx_grad=True,
    grad_epsilon=1e-3,
    grad_m=1,
    num_classes=10,
    G_activation=pair.generator.activation,
    loss="l1",
    no_logits=1,
    logit_correction="mean",
    forward_differences=1,
    rec_grad_norm=False,
    log_interval=10,
    log_dir=folder.name,
    query_budget=10**12,
    cost_per_iteration=1792,
)
print("ready", flush=True)
for _ in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        train.train(args, pair.target, pair.substitute, generator, settings["device"], optimizers, 0)
        synchronize(next(pair.substitute.parameters()))
        spent = time.perf_counter() - started
    print(json.dumps({"seconds": spent}), flush=True)
