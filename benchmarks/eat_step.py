"""A step of EAT with N members against N steps of adversarial training of one network, N = 2 to 5.

And, at N = 3, what the switches that might speed it up are worth: weights and images in the channels-last
layout, forward passes in bfloat16, and on a GPU the step as CUDA graphs.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import torch

from benchmarks import metric_training, timing
from benchmarks.captured import Captured
from benchmarks.problem import synchronize
from gauntlet.defenses.embeddings.base import Batch
from gauntlet.families.dml.train import Training

#: (architecture, batch, steps, rounds)
CASES = (("conv", 64, 7, 9), ("conv", 256, 7, 5), ("resnet18", 8, 3, 3))
LARGE = (("conv", 64, 7, 15), ("conv", 256, 7, 15), ("resnet18", 128, 7, 7))  # on a GPU
SMALL = (("conv", 16, 2, 2), ("resnet18", 2, 1, 1))
MEMBERS = (2, 3, 4, 5)
SWITCHED = 3  # members of the ensemble that the switches are tried on
SWITCHES = ("channels-last", "bf16", "graphs")


def step(training: Training, batches: list[Batch], switches: frozenset[str]) -> Callable[[], None]:
    """A program that takes the next step of a training."""
    device = batches[0].images.device
    forward = contextlib.nullcontext
    if "bf16" in switches:

        def forward() -> contextlib.AbstractContextManager:
            return torch.autocast(device.type, torch.bfloat16)

    if "channels-last" in switches:
        batches = [in_channels_last(training, batch) for batch in batches]
    if "graphs" in switches:
        captured = Captured(training, batches[0], forward)

        def update() -> None:
            captured.update(batches[0])

    else:

        def update() -> None:
            with forward():
                training.update(batches, 0)

    def program() -> None:
        update()
        synchronize(training.members[0].proxies)

    return program


def in_channels_last(training: Training, batch: Batch) -> Batch:
    for member, optimizer in zip(training.members, training.optimizers, strict=True):
        member.net.to(memory_format=torch.channels_last)
        for name in optimizer.averages:  # fused updates want the layout of the weights
            optimizer.buffers[name] = [torch.zeros_like(parameter) for parameter in optimizer.parameters]
    images = batch.images.contiguous(memory_format=torch.channels_last)
    return Batch(images, batch.labels, batch.rows, batch.progress)


def ensembles(architecture: str, batch: int, steps: int, rounds: int, options) -> list[timing.Comparison]:
    single = metric_training.make("at", 1, architecture, batch, steps, options.device)
    at = step(single, metric_training.first_batches(single), frozenset())
    rows = []
    for members in MEMBERS:
        eat = metric_training.make("eat", members, architecture, batch, steps, options.device)
        ours = step(eat, metric_training.first_batches(eat), frozenset())

        def theirs(members: int = members) -> None:
            for _ in range(members):
                at()

        seconds = timing.interleave({"ours": ours, "theirs": theirs}, rounds)
        rows.append(
            timing.Comparison(
                f"{architecture}, batch {batch}, PGD-{steps}",
                f"one EAT step, N = {members}",
                f"{members} AT steps",
                seconds["ours"],
                seconds["theirs"],
                "EAT attacks the mean loss of all members once; each then trains on its share of the batch, "
                "(N - 1) / N",
            )
        )
    return rows


def switched(architecture: str, batch: int, steps: int, rounds: int, options) -> list[timing.Comparison]:
    """Every switch alone, and all together, against the step without."""
    names = [name for name in SWITCHES if name != "graphs" or options.device != "cpu"]
    tried = {"without": frozenset(), **{name: frozenset([name]) for name in names}}
    tried[" + ".join(names)] = frozenset(names)
    programs, after = {}, {}
    for name, switches in tried.items():
        training = metric_training.make("eat", SWITCHED, architecture, batch, steps, options.device)
        before = metric_training.parameters(training.members[0])
        programs[name] = step(training, metric_training.first_batches(training), switches)
        programs[name]()
        after[name] = metric_training.parameters(training.members[0])
    seconds = timing.interleave(programs, rounds)
    what = f"{architecture}, batch {batch}, PGD-{steps}, N = {SWITCHED}"
    found = {
        name: timing.Comparison(what, name, "without", seconds[name], seconds["without"])
        for name in tried
        if name != "without"
    }
    pays = [name for name, comparison in found.items() if comparison.row()["ratio"] < 1]
    apart = [
        f"{name} {metric_training.difference(before, after[name], after['without']):.1e}" for name in found
    ]
    note = (
        f"{what}: what pays: {', '.join(pays) or 'nothing'}. How far a member's first update is from that "
        f"without, in its lengths: {', '.join(apart)}"
    )
    return [dataclasses.replace(comparison, note=note) for comparison in found.values()]


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = SMALL if options.small else CASES if options.device == "cpu" else LARGE
    rows = []
    for compare in (ensembles, switched):
        for architecture, batch, steps, rounds in cases:
            rows += compare(architecture, batch, steps, options.rounds or rounds, options)
    timing.report("eat_step", rows, options)


if __name__ == "__main__":
    main()
