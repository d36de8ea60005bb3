"""Gradient inversion: seconds per iteration and target, with 16 targets packed as the engine chooses.

Against breaching, which attacks one after the other (images in its RGB, three convolutions and a linear
layer); against the same loop written out; against ourselves one by one; and AGIC against the simulation of
the local steps, which the paper compares.
"""

from __future__ import annotations

import time
from dataclasses import asdict

import torch
import torch.nn.functional as F

from benchmarks import timing
from benchmarks.leak import Leak
from benchmarks.peers import Peer
from gauntlet.core.seeds import torch_generator
from gauntlet.inversion.base import make
from gauntlet.inversion.engine import invert
from gauntlet.inversion.observation import Observation

TARGETS, TV = 16, 0.01


class Ours:
    """One method on the clients of a leak."""

    def __init__(self, leak: Leak, method: str, iterations: int, copies: int | None, device: str, **options):
        self.leak, self.iterations, self.copies = leak, iterations, copies
        self.method = make(method, {"tv": TV, **options})
        self.net = leak.net(0).to(device)
        self.observations = []
        for target in range(leak.targets):
            known = (leak.images, leak.batch, leak.epochs, leak.lr, leak.client(target)[1])
            self.observations.append([Observation(*leak.update(target), *known)])

    def __call__(self) -> float:
        started = time.perf_counter()
        found = invert(
            self.net,
            self.observations,
            self.leak.shape,
            self.method,
            iterations=self.iterations,
            generators=[[torch_generator(0, "inversion", t)] for t in range(self.leak.targets)],
            copies=self.copies,
        )
        self.psnr = self.leak.psnr(list(found.images.cpu()))
        return (time.perf_counter() - started) / (self.leak.targets * self.iterations)


def plain_loop(leak: Leak, target: int, iterations: int) -> torch.Tensor:
    """Inverting Gradients as the field writes it: a module, one target, torch's Adam and schedule."""
    net, labels = leak.net(target), leak.client(target)[1]
    parameters, seen = list(net.parameters()), list(leak.update(target)[1].values())
    length = sum(value.square().sum() for value in seen).sqrt()
    images = torch.randn(leak.images, *leak.shape, requires_grad=True)
    optimizer = torch.optim.Adam([images], lr=0.1)
    eighths = [iterations * part // 8 for part in (3, 5, 7)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, eighths, gamma=0.1)
    for _ in range(iterations):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        along = sum((a * b).sum() for a, b in zip(slopes, seen, strict=True))
        cost = 1 - along / (sum(a.square().sum() for a in slopes).sqrt() * length)
        across, down = images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]
        cost = cost + TV * (across.abs().mean() + down.abs().mean())
        (images.grad,) = torch.autograd.grad(cost, images)
        images.grad.sign_()
        optimizer.step()
        schedule.step()
        images.data.clamp_(0, 1)
    return images.detach()


def against_others(what: str, leak: Leak, iterations: int, rounds: int, options) -> list[timing.Comparison]:
    """Packed against one by one, the plain loop (one gradient only) and breaching (RGB only)."""
    method = "ig" if leak.steps == 1 else "ig_simulation"
    packed, single = (Ours(leak, method, iterations, copies, options.device) for copies in (None, 1))
    programs, psnr = {"packed": packed, "one by one": single}, {}
    few = min(leak.targets, 4)
    if leak.steps == 1 and options.device == "cpu":

        def plain() -> float:
            started = time.perf_counter()
            found = [plain_loop(leak, target, iterations) for target in range(few)]
            psnr["plain loop"] = leak.psnr(found)
            return (time.perf_counter() - started) / (few * iterations)

        programs["plain loop"] = plain
    peer = None
    if leak.channels == 3 and options.device == "cpu":
        settings = {
            "leak": asdict(leak),
            "iterations": iterations,
            "targets": few,
            "tv": TV,
            "simulate": leak.steps > 1,
            "threads": options.threads,
        }
        peer = Peer("breaching", settings)

        def theirs() -> float:
            answer = peer.ask("attack")
            psnr["breaching"] = answer["psnr"]
            return answer["seconds"]

        programs["breaching"] = theirs
    seconds = timing.interleave(programs, rounds)
    if peer:
        peer.close()
    psnr = {"packed": packed.psnr, "one by one": single.psnr, **psnr}
    note = f"{what}: PSNR after {iterations} iterations " + ", ".join(
        f"{name} {value:.1f}" for name, value in psnr.items()
    )
    return [
        timing.Comparison(what, f"{TARGETS} packed", name, seconds["packed"], seconds[name], note)
        for name in programs
        if name != "packed"
    ]


def against_simulation(what: str, leak: Leak, iterations: int, rounds: int, options) -> timing.Comparison:
    agic, simulation = (
        Ours(leak, method, iterations, None, options.device) for method in ("agic", "ig_simulation")
    )
    seconds = timing.interleave({"agic": agic, "simulation": simulation}, rounds)
    note = (
        f"{what}: PSNR after {iterations} iterations agic {agic.psnr:.1f}, simulation {simulation.psnr:.1f}"
    )
    return timing.Comparison(what, "agic", "ig_simulation", seconds["agic"], seconds["simulation"], note)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds, rows = options.rounds or 5, []
    for what, leak, iterations in (
        ("one image, grey 16x16", Leak(16, 1, 1, 1, 1, TARGETS), 60),
        ("eight images, grey 16x16", Leak(16, 1, 8, 8, 1, TARGETS), 20),
        ("one image, RGB 16x16", Leak(16, 3, 1, 1, 1, TARGETS), 60),
        ("one image, RGB 32x32", Leak(32, 3, 1, 1, 1, TARGETS), 30),
        ("eight images, RGB 32x32", Leak(32, 3, 8, 8, 1, TARGETS), 8),
        ("eight steps of one image, RGB 16x16", Leak(16, 3, 8, 1, 1, TARGETS), 8),
    ):
        rows += against_others(what, leak, iterations, rounds, options)
    for targets in (1, TARGETS):
        for what, batch, epochs in (("B=1", 1, 1), ("all 8 images per step", 8, 8)):
            leak = Leak(16, 1, 8, batch, epochs, targets)
            what = f"U=8, {what}, {targets} target{'s' * (targets > 1)}, grey 16x16"
            rows.append(against_simulation(what, leak, 15, rounds, options))
    timing.report("inversion", rows, options)


if __name__ == "__main__":
    main()
