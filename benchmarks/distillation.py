"""An update of distilled samples by gradient matching against the loop of the code published with it.

All clients' classes are copies of the network in one program here; there (VICO-UoE/DatasetCondensation,
``main.py``), a class after the other. The loop is written out anew from what that code does: its batches, its
distance, its optimizer. Both match at the same weights, on the same images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks import timing
from benchmarks.problem import synchronize
from gauntlet.core.registry import create
from gauntlet.data.subset import Images
from gauntlet.distillation.base import Setting
from gauntlet.models.classifiers import build
from gauntlet.models.copies import state_of

CLASSES = 10

#: case -> network, channels, size, clients, samples per class, a client's images per class (one batch)
CASES = {
    "ConvNet of 2 blocks, 8x8, 5 clients, 1 sample": ("convnet2", 1, 8, 5, 1, 28),
    "ConvNet of 2 blocks, 16x16, 5 clients, 10 samples": ("convnet2", 1, 16, 5, 10, 32),
    "ConvNet of 2 blocks, 28x28, 1 client, 10 samples": ("convnet2", 1, 28, 1, 10, 64),
}
LARGE = {"ConvNet of 3 blocks, 32x32, 1 client, 10 samples": ("convnet3", 3, 32, 1, 10, 256)}


class Problem:
    """The same images and weights for both sides."""

    def __init__(self, case: str, device: str):
        network, channels, size, self.clients, self.samples, self.batch = (CASES | LARGE)[case]
        torch.manual_seed(0)
        self.net = build(network, channels, size, CLASSES).to(device)
        count = self.clients * CLASSES * self.batch
        pixels = torch.rand(count, channels, size, size).to(device)
        labels = torch.arange(CLASSES).repeat_interleave(self.batch).repeat(self.clients).to(device)
        self.images = Images(pixels, labels)
        self.rows = list(torch.arange(count).split(CLASSES * self.batch))

    def ours(self):
        options = {"per_class": self.samples, "batch": self.batch, "inner": 0}
        method = create("distillation", "gradient_matching", options)
        method.begin(Setting(self.net, self.images, self.rows, CLASSES, 0, lambda *_: state_of(self.net)))
        method.open(1, state_of(self.net), None)
        return method


class Published:
    """One client, as the published code has it."""

    def __init__(self, problem: Problem, client: int, start: torch.Tensor):
        self.net, self.count, self.batch = problem.net.train(), problem.samples, problem.batch
        rows = problem.rows[client].to(problem.images.pixels.device)
        self.images, labels = problem.images.pixels[rows], problem.images.labels[rows]
        self.of_class = [(labels == label).nonzero().flatten().cpu() for label in range(CLASSES)]
        self.samples = start[client].clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.samples], lr=0.1, momentum=0.5)

    def loss(self) -> torch.Tensor:
        parameters, total, device = list(self.net.parameters()), 0.0, self.images.device
        for label, own in enumerate(self.of_class):
            real = self.images[own[torch.randperm(len(own))[: self.batch]]]
            target = torch.full((len(real),), label, device=device)
            wanted = torch.autograd.grad(F.cross_entropy(self.net(real), target), parameters)
            some = self.samples[label * self.count : (label + 1) * self.count]
            target = torch.full((self.count,), label, device=device)
            loss = F.cross_entropy(self.net(some), target)
            found = torch.autograd.grad(loss, parameters, create_graph=True)
            for a, b in zip(found, wanted, strict=True):
                if a.dim() > 1:
                    a, b = a.reshape(len(a), -1), b.detach().clone().reshape(len(b), -1)
                    lengths = torch.norm(a, dim=-1) * torch.norm(b, dim=-1)
                    total = total + torch.sum(1 - torch.sum(a * b, dim=-1) / (lengths + 0.000001))
        return total

    def step(self) -> None:
        loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def compare(case: str, rounds: int, options) -> timing.Comparison:
    problem = Problem(case, options.device)
    method = problem.ours()
    theirs = [Published(problem, client, method.live["images"].detach()) for client in range(problem.clients)]
    losses = (
        float(method.objective(torch.Generator()).sum().detach()),
        sum(float(one.loss().detach()) for one in theirs),
    )

    def together() -> None:
        method.step()
        synchronize(method.live["images"])

    def one_by_one() -> None:
        for one in theirs:
            one.step()
        synchronize(theirs[-1].samples)

    seconds = timing.interleave({"together": together, "loop": one_by_one}, rounds)
    note = f"{case}: distance of gradients before the first update {losses[0]:.4f} and {losses[1]:.4f}"
    sides = ("all classes in one program", "published loop, written out")
    return timing.Comparison(case, *sides, seconds["together"], seconds["loop"], note)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", action="store_true", help="the published network too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = [*CASES, *(LARGE if options.large else ())]
    timing.report("distillation", [compare(case, options.rounds or 15, options) for case in cases], options)


if __name__ == "__main__":
    main()
