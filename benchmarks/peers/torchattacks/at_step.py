"""Steps of adversarial training on the Proxy-Anchor loss with torchattacks' PGD, from weights and a batch
that the benchmark saved. Lines: ``check`` takes one step without a random start and saves the parameters that
it leads to; ``step`` takes the next step of the training.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch
import torchattacks
from benchmarks.problem import synchronize
from torch import nn

from gauntlet.losses.proxy_anchor import proxy_anchor
from gauntlet.models import build

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
begin = torch.load(settings["begin"], map_location=settings["device"], weights_only=True)
images, labels = begin["images"], begin["labels"]
ROUNDING = 1e-6


class LossLogits(nn.Module):
    """The Proxy-Anchor loss L of a whole batch as logits (1, 2), [0, L]: their cross-entropy for class 0 is
    log(1 + exp(L)), whose gradient has the signs of L's."""

    def __init__(self, net: nn.Module, proxies: nn.Parameter):
        super().__init__()
        self.net, self.proxies = net, proxies

    def forward(self, x):
        loss = proxy_anchor(self.net(x), labels, self.proxies)
        return torch.stack([torch.zeros_like(loss), loss])[None]


class Training:
    """The usual loop: torchattacks' PGD, torch's AdamW (fused, as ours), clipped gradients."""

    def __init__(self, random_start: bool):
        channels, size = images.shape[1], images.shape[2]
        self.net = build(settings["architecture"], channels, size, settings["embedding"])
        self.net.to(settings["device"]).load_state_dict(begin["net"])
        self.proxies = nn.Parameter(begin["proxies"].clone())
        groups = [{"params": self.net.parameters()}, {"params": [self.proxies], "lr": settings["proxy_lr"]}]
        self.optimizer = torch.optim.AdamW(groups, settings["lr"], weight_decay=0.0, fused=True)
        self.parameters = [*self.net.parameters(), self.proxies]
        self.attack = torchattacks.PGD(
            LossLogits(self.net, self.proxies).train(),  # PGD puts it in eval mode, and back
            eps=settings["eps"],
            alpha=settings["step"],
            steps=settings["steps"],
            random_start=random_start,
        )
        self.target = torch.zeros(1, dtype=torch.long, device=images.device)

    def step(self):
        """The images that it trained on, and the loss."""
        adversarial = self.attack(images, self.target)
        loss = proxy_anchor(self.net(adversarial), labels, self.proxies)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(self.parameters, settings["clip"])
        self.optimizer.step()
        return adversarial, loss.detach()


def inside(adversarial) -> None:
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
    assert (adversarial - images).abs().max() <= settings["eps"] + ROUNDING


def answer_check() -> dict:
    """The images stay in the ball, and the step changes all parameters."""
    training = Training(random_start=False)
    before = [parameter.detach().clone() for parameter in training.parameters]
    adversarial, loss = training.step()
    inside(adversarial)
    after = [parameter.detach() for parameter in training.parameters]
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))
    torch.save(after, settings["end"])
    return {"loss": float(loss)}


def answer_step() -> dict:
    synchronize(images)
    started = time.perf_counter()
    adversarial, loss = training.step()
    synchronize(adversarial)
    spent = time.perf_counter() - started
    inside(adversarial)
    return {"seconds": spent, "loss": float(loss)}


training = Training(random_start=True)
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps({"check": answer_check, "step": answer_step}[line.strip()]()), flush=True)
