"""Reading the lock files: requirements in pip's format, each with its hashes."""

from __future__ import annotations

import re
from pathlib import Path

#: What PyTorch's CPU build replaces: itself, and the GPU libraries that the default build brings.
GPU_STACK = re.compile(r"^(torch|torchvision|triton|nvidia-.+|cuda-(bindings|pathfinder|toolkit))$")

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")


def read(path):
    """The blocks of a lock file by package name.

    Returns:
        ``{name: [block, ...]}``; a block is a requirement's lines, with hashes and comments. A name
        has several blocks when Python versions or platforms need different versions.
    """
    blocks = {}
    current = None
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        pin = _PIN.match(line)
        if pin:
            current = [line]
            blocks.setdefault(pin.group(1).lower(), []).append(current)
        elif current is not None:
            current.append(line)
    return {name: ["\n".join(block) for block in found] for name, found in blocks.items()}


def write(path, blocks):
    lines = [block for found in blocks.values() for block in found]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def version(blocks, name):
    """The one version that ``name`` is locked at."""
    found = {_PIN.match(block).group(2) for block in blocks[name]}
    if len(found) != 1:
        raise ValueError(f"{name} is locked at several versions: {sorted(found)}")
    return found.pop()


def without_gpu_stack(blocks):
    """The lock without torch, torchvision and what only their GPU build needs."""
    return {name: found for name, found in blocks.items() if not GPU_STACK.match(name)}


def merged(first, second):
    """``first``, and what ``second`` has beyond it."""
    return {**second, **first}
