"""Sixteen shadow models trained as copies in one program against a plain loop over models."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import timing
from benchmarks.federation import CLASSES, dataset
from benchmarks.problem import synchronize
from gauntlet.core.seeds import torch_generator
from gauntlet.data.subset import Images, first, on_device
from gauntlet.membership import shadows
from gauntlet.membership.shadows import Recipe, answers, halves
from gauntlet.models.classifiers import build

MODELS, EPOCHS = 16, 2
#: Architecture, images of the pool, batch.
CASES = (("lenet", 600, 10), ("cnn2_bn", 600, 10), ("cnn2_bn", 1000, 50))


class Problem:
    """The same models for both sides: first weights, halves of a pool of Fashion-MNIST, batches."""

    def __init__(self, architecture: str, pool: int, batch: int, device: str):
        split = dataset()
        rows = first(split.train, pool // CLASSES, 0, "train")
        self.images: Images = on_device(split.train, rows, split.peak, torch.device(device))
        self.inside = halves(len(rows), MODELS, np.random.default_rng(0))
        self.recipe = Recipe(epochs=EPOCHS, batch=batch, lr=0.01, momentum=0.9)
        self.architecture = architecture

    def net(self) -> torch.nn.Module:
        return build(self.architecture, 1, 28, CLASSES).to(self.images.pixels.device)

    def generators(self) -> list[torch.Generator]:
        return [torch_generator(0, "shadow", i) for i in range(MODELS)]

    def plain(self) -> list[torch.nn.Module]:
        """One model after the other, by torch's own optimizer."""
        found = []
        for mask, generator in zip(self.inside, self.generators(), strict=True):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            net = self.net().train()
            sgd = torch.optim.SGD(net.parameters(), lr=self.recipe.lr, momentum=self.recipe.momentum)
            rows = torch.from_numpy(np.flatnonzero(mask))
            for _ in range(EPOCHS):
                order = rows[torch.randperm(len(rows), generator=generator)].to(self.images.pixels.device)
                for batch in order.split(self.recipe.batch):
                    sgd.zero_grad()
                    F.cross_entropy(net(self.images.pixels[batch]), self.images.labels[batch]).backward()
                    sgd.step()
            found.append(net.eval())
        return found


def compare(architecture: str, pool: int, batch: int, rounds: int, options) -> timing.Comparison:
    problem, found = Problem(architecture, pool, batch, options.device), {}

    def ours() -> None:
        states = shadows.train(
            problem.net,
            problem.images,
            problem.inside,
            problem.recipe,
            problem.generators(),
            options.together,
        )
        synchronize(problem.images.pixels)
        found["packed"] = answers(problem.net(), states, problem.images.pixels)

    def theirs() -> None:
        nets = problem.plain()
        synchronize(problem.images.pixels)
        with torch.no_grad():
            parts = problem.images.pixels.split(shadows.BATCH)
            logits = [torch.cat([net(part) for part in parts]).cpu().numpy() for net in nets]
        found["plain"] = np.stack(logits)

    seconds = timing.interleave({"packed": ours, "plain": theirs}, rounds)
    what = f"{architecture}, {MODELS} models, {pool // 2} images each, batch {batch}"
    hits = {
        side: float((logits.argmax(2) == problem.images.labels.cpu().numpy()).mean())
        for side, logits in found.items()
    }
    note = f"{what}: mean accuracy on the pool {hits['packed']:.3f} (packed), {hits['plain']:.3f} (plain)"
    return timing.Comparison(
        what, f"packed by {options.together}", "plain loop", seconds["packed"], seconds["plain"], note
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--together", type=int, default=shadows.COPIES, help="models in one program")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [compare(*case, options.rounds or 5, options) for case in CASES]
    timing.report("shadows", rows, options)


if __name__ == "__main__":
    main()
