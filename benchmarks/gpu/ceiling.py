"""What the device can do at best: products of large matrices, and copies."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

PRECISIONS = ("ieee", "tf32", "bf16")


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best(program: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Seconds of the fastest round, after one to warm up."""
    program()
    seconds = []
    for _ in range(rounds):
        synchronize(device)
        started = time.perf_counter()
        program()
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def multiply(precision: str) -> None:
    """Products of float32 by ``ieee`` or ``tf32`` from here on."""
    for products in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):
        products.fp32_precision = precision


def ceilings(device: torch.device, size: int, rounds: int) -> dict[str, float]:
    """Operations per second by precision, and bytes per second of a copy on the device and one to it.

    Args:
        size: rows and columns of the matrices; a copy moves as many float32 numbers as a matrix has.
    """
    found = {}
    for precision in PRECISIONS:
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        if precision != "bf16":
            multiply(precision)
        a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
        found[precision] = 2 * size**3 / best(lambda a=a, b=b: a @ b, device, rounds)
    multiply("ieee")
    here, there = (torch.empty(size, size, device=device) for _ in range(2))
    host = torch.empty(size, size, pin_memory=device.type == "cuda")
    found["copy"] = 2 * here.nbytes / best(lambda: there.copy_(here), device, rounds)  # read and written
    found["upload"] = host.nbytes / best(lambda: there.copy_(host, non_blocking=True), device, rounds)
    return found
