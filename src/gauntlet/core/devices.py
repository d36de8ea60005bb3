"""Where tensors live, and how many threads a job may use."""

from __future__ import annotations

import os

from gauntlet.core.errors import GauntletError


def setup(device: str = "auto", threads: int = 1, tf32: bool = False):
    """Choose the device and make the run deterministic; call once at the start of a step.

    One thread is right for small nets: two jobs of two threads each on two cores are many times
    slower than two jobs of one.

    Args:
        device: ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        threads: CPU threads for torch and faiss.
        tf32: let a GPU multiply float32 numbers by TF32 (10 bits of mantissa). Otherwise products are IEEE
            float32, convolutions too, where torch's own default is TF32.

    Returns:
        A ``torch.device``.

    Raises:
        GauntletError: a GPU was asked for and there is none.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS at its first call
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise GauntletError(
            f"device {device!r} was asked for, but no GPU is visible",
            remedy="set GAUNTLET_DEVICE=cpu, or check the driver (nvidia-smi) and the job's GPU request",
        )
    torch.set_num_threads(threads)
    # Not use_deterministic_algorithms: it imports torch's compiler, four seconds of every job's start-up.
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "warn")
    # What deterministic mode adds to every torch.empty; in a thread of ours it would start a team of torch's.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    for products in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):
        products.fp32_precision = "tf32" if tf32 else "ieee"
    return torch.device(device)


def sharing(device, asked: int | None, planned: int) -> int:
    """How many processes share a training: as many as were asked for, else as planned and as there are GPUs.
    What was planned for several GPUs runs on those that there are."""
    import torch

    if asked is not None:
        return asked
    return min(planned, torch.cuda.device_count()) if device.type == "cuda" else 1


def describe(device) -> str:
    """The device in words, for provenance: the GPU's name, or the CPU's."""
    import platform

    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            models = [line.split(":", 1)[1].strip() for line in handle if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()
