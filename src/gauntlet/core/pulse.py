"""What a job tells others while it works: that it lives, and what it takes from its machine.

A file of JSON lines, begun anew by every job: who it is, then a sample from time to time. Its age says
whether the job still lives, on whichever machine; when the job ends well it is kept beside the results.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

#: Seconds between samples: a twentieth of the job's age, within these limits. A day is some 1,500 lines.
SHORTEST, LONGEST = 2.0, 60.0
#: A file that has not grown for so long is that of a dead job; clocks of machines may differ by a minute.
DEAD = 2 * LONGEST + 60
MB = 2**20


@contextmanager
def beating(path: Path, keep: Path) -> Iterator[None]:
    """Write samples to ``path`` during the block; move them to ``keep`` when it ends well.

    A disk that is full, or a folder that cannot be written, costs the samples and not the job.
    """
    stop = threading.Event()
    process = psutil.Process()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = {"pid": process.pid, "host": platform.node(), "started": round(time.time(), 3)}
        path.write_text(json.dumps(begun) + "\n", encoding="utf-8")
    except OSError:
        yield
        return
    thread = threading.Thread(target=_beat, args=(path, process, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    try:
        keep.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, keep)
    except OSError:
        pass


def _beat(path: Path, process: psutil.Process, stop: threading.Event) -> None:
    begun = last = time.monotonic()
    process.cpu_percent(), psutil.cpu_percent()  # their next answers are since now
    while True:
        ended = stop.wait(min(LONGEST, max(SHORTEST, (last - begun) / 20)))
        if ended and last > begun and time.monotonic() - last < SHORTEST / 2:
            return  # over so short a time the load is no number
        last = time.monotonic()
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(sample(process, last - begun)) + "\n")
        except (OSError, RuntimeError, psutil.Error):
            return
        if ended:
            return


def sample(process: psutil.Process, seconds: float) -> dict[str, float]:
    """What a process, and the machine below it, use now.

    Returns: ``seconds`` (as given), ``cpu`` (of the process and its threads since the last sample, % of one
    core), ``memory`` (of the process, MB of 2^20 bytes), ``machine_cpu`` (% of all cores), ``machine_memory``
    (MB), and ``gpu_memory`` (MB that the process has taken of its GPUs) where it uses any.
    """
    found = {
        "seconds": seconds,
        "cpu": process.cpu_percent(),
        "memory": process.memory_info().rss / MB,
        "machine_cpu": psutil.cpu_percent(),
        "machine_memory": psutil.virtual_memory().used / MB,
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        # What the allocator knows: a call of the driver could break a graph that the job captures.
        taken = [torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count())]
        found["gpu_memory"] = sum(taken) / MB
    return {name: round(value, 1) for name, value in found.items()}


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file: who the job is, then its samples. Empty where there is none, or a broken one; a
    last line that is being written is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found if found and "started" in found[0] else []


def alive(path: Path, who: dict[str, Any], now: float) -> bool:
    """Whether the job that began ``path`` with the line ``who`` still works, ``now`` (seconds since 1970)."""
    try:
        if now - os.stat(path).st_mtime > DEAD:
            return False
    except OSError:
        return False
    return who["host"] != platform.node() or psutil.pid_exists(who["pid"])
