"""Each stage of the pipeline on a GPU: how near it comes to what the device can do.

    python -m benchmarks.gpu.stages --device cuda [--save]
    python -m benchmarks.gpu.stages --device cpu --small      to see that it works

Per stage: operations per second (by torch's formulas), as a share of a large matrix product in
the same precision on the same device in the same run; the share of the time in which a kernel ran; and how
often a step waits for the device. Trainings of embeddings multiply by TF32, as ``gauntlet dml train`` does;
all else by IEEE float32. A bf16 row is a try-out that no job does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import metric_training, timing
from benchmarks.gpu.ceiling import best, ceilings, multiply, synchronize
from benchmarks.inversion import Ours as Inversion
from benchmarks.leak import Leak
from benchmarks.problem import Problem
from benchmarks.shadows import Problem as Shadows
from benchmarks.stealing import Ours as Theft
from benchmarks.theft import CASES, Pair
from gauntlet.core.registry import create
from gauntlet.core.seeds import torch_generator
from gauntlet.membership import shadows

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One stage: a step's seconds and operations, its share of the ceiling, of the time, and its waits."""

    stage: str
    precision: str
    seconds: float
    operations: float
    of_ceiling: float
    busy: float
    waits: int | None


class Operations(TorchDispatchMode):
    """Counts products and sums, backward passes too, as FlopCounterMode does, whose hooks break where a
    gradient stops at a leaf, as an attack's does."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if formula := flop_registry.get(function._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def busy(program: Callable[[], object], device: torch.device) -> float:
    """Share of a step in which a kernel ran; of a CPU, in which the process ran (threads count)."""
    if device.type != "cuda":
        wall, cpu = time.perf_counter(), time.process_time()
        program()
        return (time.process_time() - cpu) / (time.perf_counter() - wall)
    from torch.profiler import ProfilerActivity, profile

    synchronize(device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        started = time.perf_counter()
        program()
        synchronize(device)
        wall = time.perf_counter() - started
    kernels = sum(event.device_time_total for event in profiler.events() if event.device_time_total)
    return min(1.0, kernels / 1e6 / wall)


def waits(program: Callable[[], object], device: torch.device) -> int | None:
    """How often a step makes the host wait for the GPU, by torch's own watch."""
    if device.type != "cuda":
        return None
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            program()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def trainings(device: torch.device, small: bool):
    """Steps of embeddings' trainings: natural, adversarial and EAT."""
    cases = [("conv", 16)] if small else [("conv", 64), ("conv", 256), ("resnet18", 128), ("resnet50", 64)]
    for architecture, batch in cases:
        for defense, members in (("none", 1), ("at", 1), ("eat", 3)):
            training = metric_training.make(defense, members, architecture, batch, 7, str(device))
            batches = metric_training.first_batches(training)
            name = f"{defense}{f' x {members}' if members > 1 else ''}, {architecture}, batch {batch}"
            yield name, lambda training=training, batches=batches: training.update(batches, 0)


def others(device: torch.device, small: bool):
    """Steps of what is attacked, stolen and inverted."""
    problem = Problem("conv", 32 if small else 1000, str(device))
    attack = create("classifier_attack", "pgd", {"eps": problem.eps, "step": problem.step, "steps": 7})
    net = problem.wrapper()
    yield (
        f"PGD-7 on {len(problem.images)} images",
        lambda: attack(net, problem.images, problem.labels, generator=torch_generator(0, "attack")),
    )
    for case in Pair.small[:1] if small else CASES:
        theft = Theft(Pair(case, str(device)))
        yield f"a theft's step, {case}", theft.step
    models = 2 if small else 16
    members = Shadows("cnn2_bn", 100 if small else 1000, 50, str(device))
    yield (
        f"{models} shadow models, {shadows.COPIES} at once",
        lambda: shadows.train(
            members.net,
            members.images,
            members.inside[:models],
            members.recipe,
            members.generators()[:models],
        ),
    )
    targets = 2 if small else 16
    for method, images, batch, epochs in (("ig", 1, 1, 1), ("agic", 8, 1, 1), ("ig_simulation", 8, 1, 1)):
        leak = Leak(32, 3, images, batch, epochs, targets)
        yield (
            f"{method}, {images} images, {targets} targets",
            Inversion(leak, method, 5, targets, str(device)),
        )


def measure(
    stage: str,
    precision: str,
    program: Callable[[], object],
    ceiling: float,
    device: torch.device,
    rounds: int,
) -> Row:
    seconds = best(program, device, rounds)
    with Operations() as counted:
        program()
    share = counted.total / seconds / ceiling
    return Row(stage, precision, seconds, counted.total, share, busy(program, device), waits(program, device))


def table(found: dict[str, float], rows: list[Row]) -> str:
    """The ceilings and the rows as Markdown."""
    tera = ", ".join(f"{name} {found[name] / 1e12:.2f}" for name in ("ieee", "tf32", "bf16"))
    lines = [
        f"Large matrix products: {tera} TFLOP/s; copies on the device {found['copy'] / 1e9:.0f} GB/s, "
        f"to it {found['upload'] / 1e9:.1f} GB/s.",
        "",
        "| stage | precision | per step | GFLOP | TFLOP/s | of ceiling | busy | waits |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row.stage} | {row.precision} | {1e3 * row.seconds:.2f} ms | {row.operations / 1e9:.2f} "
            f"| {row.operations / row.seconds / 1e12:.2f} | {row.of_ceiling:.1%} | {row.busy:.0%} "
            f"| {'-' if row.waits is None else row.waits} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/gpu/results/stages.json and .md"
    )
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    found = ceilings(device, 512 if options.small else 8192, options.rounds)
    rows = []
    for precision in ("tf32", "ieee", "bf16"):
        multiply("ieee" if precision == "bf16" else precision)
        context = (
            torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
        )
        for stage, program in trainings(device, options.small):
            with context:
                rows.append(measure(stage, precision, program, found[precision], device, options.rounds))
            print(rows[-1], flush=True)
    multiply("ieee")
    for stage, program in others(device, options.small):
        rows.append(measure(stage, "ieee", program, found["ieee"], device, options.rounds))
        print(rows[-1], flush=True)
    text = table(found, rows)
    print(f"\n{text}")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        written = {
            "device": name,
            "machine": timing.machine(torch.get_num_threads()),
            "ceilings": found,
            "stages": [asdict(row) for row in rows],
        }
        (RESULTS / "stages.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        (RESULTS / "stages.md").write_text(f"# stages\n\n{name}\n\n{text}\n")


if __name__ == "__main__":
    main()
