"""PGD on embeddings against torchattacks, and against a bare loop: same network, loss, steps and batch."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks import timing
from benchmarks.peers import Peer
from benchmarks.problem import Problem, synchronize
from gauntlet.attacks.pgd import pgd
from gauntlet.core.seeds import torch_generator

CASES = (("conv", 128, 20, 15), ("conv", 1000, 10, 7), ("resnet18", 16, 5, 3))


def bare_loop(problem: Problem, steps: int) -> torch.Tensor:
    """The least that PGD can do, written out."""
    model, x, y, eps = problem.wrapper(), problem.images, problem.labels, problem.eps
    adversarial = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        adversarial.requires_grad_(True)
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(adversarial), y), adversarial)
        adversarial = adversarial.detach() + problem.step * gradient.sign()
        adversarial = (x + (adversarial - x).clamp(-eps, eps)).clamp(0, 1)
    return adversarial


def compare(architecture: str, batch: int, steps: int, rounds: int, options) -> list[timing.Comparison]:
    problem = Problem(architecture, batch, options.device)
    settings = {
        "attack": "pgd",
        "architecture": architecture,
        "batch": batch,
        "steps": steps,
        "threads": options.threads,
        "device": options.device,
    }
    peer = Peer("torchattacks", settings, options.peer)
    model, found = problem.wrapper(), {}

    def ours() -> None:
        adversarial = pgd(
            lambda images: F.cross_entropy(model(images), problem.labels, reduction="none"),
            problem.images,
            eps=problem.eps,
            step=problem.step,
            steps=steps,
            generator=torch_generator(0, "attack"),
        )
        synchronize(adversarial)
        found["ours"] = adversarial

    def bare() -> None:
        found["bare"] = bare_loop(problem, steps)
        synchronize(found["bare"])

    def theirs() -> float:
        answer = peer.ask("attack")
        found["torchattacks"] = answer["reached"]
        return answer["seconds"]

    seconds = timing.interleave({"ours": ours, "bare": bare, "theirs": theirs}, rounds)
    peer.close()
    reached = {
        name: value if isinstance(value, str) else problem.reached(value) for name, value in found.items()
    }
    what = f"PGD-{steps}, {architecture}, batch {batch}"
    note = f"{what}: " + "; ".join(f"{name} {value}" for name, value in reached.items())
    return [
        timing.Comparison(what, "gauntlet", "torchattacks", seconds["ours"], seconds["theirs"], note),
        timing.Comparison(what, "gauntlet", "bare loop", seconds["ours"], seconds["bare"]),
        timing.Comparison(what, "bare loop", "torchattacks", seconds["bare"], seconds["theirs"]),
    ]


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of torchattacks")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for architecture, batch, steps, rounds in CASES:
        rows += compare(architecture, batch, steps, options.rounds or rounds, options)
    timing.report("pgd", rows, options)


if __name__ == "__main__":
    main()
