"""Several processes that train one model together, one GPU each (CPU processes in tests).

All run the same program with the same random numbers; what they share out among them is a batch's way through
a network (``models.shared``) and the decoding of photos. The leader alone writes files.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from gauntlet.core.errors import GauntletError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def count() -> int:
    """How many processes there are; 1 in a process of its own."""
    return int(os.environ.get("WORLD_SIZE", "1")) if joined() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if joined() else 0


def leader() -> bool:
    """Whether this process writes files."""
    return rank() == 0


def joined() -> bool:
    """Whether this process is one of several that ``together`` has started."""
    return STARTED in os.environ


#: Set for the processes that ``together`` starts: torchrun's own variables may be another program's.
STARTED = "GAUNTLET_TOGETHER"


def together(processes: int, command: list[str]) -> None:
    """Become ``processes`` processes that each run ``command``, by torchrun. Does not return.

    torchrun takes this process's place, so that a scheduler's signals reach it; when one process fails, it
    ends the others.
    """
    torchrun = shutil.which("torchrun") or os.path.join(os.path.dirname(sys.executable), "torchrun")
    os.environ[STARTED] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execv(
        torchrun,
        [torchrun, "--standalone", f"--nproc-per-node={processes}", "--no-python", *command],
    )


def join(device: torch.device) -> torch.device:
    """Meet the others; returns this process's own device of the given kind.

    Raises:
        GauntletError: there are more processes than GPUs.
    """
    import torch
    import torch.distributed as distributed

    local = int(os.environ["LOCAL_RANK"])
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise GauntletError(
                f"{count()} processes, but {torch.cuda.device_count()} GPUs are visible",
                key="gpus",
                remedy="ask Slurm for as many GPUs, or lower gpus in the grid",
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def share(total: int) -> slice:
    """The rows of a batch of ``total`` that are this process's: shares differ by one at most."""
    fewest, more = divmod(total, count())
    begin = rank() * fewest + min(rank(), more)
    return slice(begin, begin + fewest + (rank() < more))


def gather(own: Tensor, total: int) -> Tensor:
    """All rows of a batch of ``total``, in order, from every process's ``share``; carries no gradient."""
    import torch
    import torch.distributed as distributed

    most = -(-total // count())
    padded = own.new_zeros((most, *own.shape[1:]))
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in range(count())]
    distributed.all_gather(parts, padded)
    fewest, more = divmod(total, count())
    return torch.cat([part[: fewest + (index < more)] for index, part in enumerate(parts)])


def add(values: Tensor) -> Tensor:
    """The sum over all processes, a new tensor; carries no gradient."""
    import torch
    import torch.distributed as distributed

    total = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total
