"""A side of ``joint_pair``: the whole attack on a small network, with this side's objective."""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor

from benchmarks.sides import serve
from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.embedding import perturb
from gauntlet.attacks.joint_pair import JointPair
from gauntlet.core.seeds import torch_generator
from gauntlet.models import build

CLASSES = 50
EPS, STEP = 0.1, 0.02
EMBED = 100  # images at once of the clean embeddings: they shall not make the peak that the attack is to make


class Plain(Attack):
    """The same objective from the matrix of all cosines, weighted by a second one."""

    joint = True

    def __init__(self, clean: Clean):
        self.clean = clean.queries
        same = clean.labels[:, None] == clean.labels
        self.weights = torch.where(same, -1.0, 1.0)
        self.weights[same] /= int(same.sum()) - len(same)
        self.weights[~same] /= int((~same).sum())
        self.weights.fill_diagonal_(0)

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        everything = self.clean.index_put((rows,), embeddings)
        return ((everything @ everything.T) * self.weights).sum()


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    net = build("conv", 1, 28, 64).eval().requires_grad_(False)
    images = torch.rand(settings["images"], 1, 28, 28)
    clean = Clean(torch.cat([net(part) for part in images.split(EMBED)]), torch.arange(len(images)) % CLASSES)

    def attack() -> dict:
        method = {"ours": JointPair, "plain": Plain}[settings["side"]](clean)
        adversarial = perturb(
            method,
            net,
            images,
            clean,
            eps=EPS,
            step=STEP,
            steps=settings["steps"],
            generator=torch_generator(0, "attack"),
        )
        embeddings = torch.cat([net(part) for part in adversarial.split(EMBED)])
        return {"reached": float(JointPair(clean).objective(embeddings, torch.arange(len(images))))}

    serve({"attack": attack})


if __name__ == "__main__":
    main()
