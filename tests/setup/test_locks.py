"""The lock files, and the small reader that set-up uses on them."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import requirements

LOCKS = ["cpu", "gpu", "test"]

#: Environments that the locks must serve.
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "python_full_version": "3.11.9"}
LINUX_ARM = {**LINUX, "platform_machine": "aarch64"}
MACOS = {"sys_platform": "darwin", "platform_machine": "arm64", "python_full_version": "3.11.9"}


def declared(root, lock):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = {"cpu": ["cpu", "build"], "gpu": ["gpu", "build"], "test": ["cpu", "test", "remotes", "build"]}[
        lock
    ]
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for extra in extras for text in optional[extra])]
    return [Requirement(text) for text in texts]


def pins(root, lock, environment):
    """name -> version, for one platform, read by ``packaging`` instead of our reader."""
    found = {}
    for line in (root / "envs" / f"{lock}.txt").read_text().splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate(environment):
                assert requirement.name not in found, f"{requirement.name} is locked twice"
                found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("lock", [*LOCKS, "uv"])
def test_every_requirement_has_a_hash_and_no_address(root, lock):
    text = (root / "envs" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    blocks = [block for block in blocks if not block.startswith("#")]
    assert blocks
    for block in blocks:
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("platform", [LINUX, LINUX_ARM, MACOS], ids=["linux", "linux-arm", "macos"])
@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_satisfies_pyproject(root, lock, platform):
    locked = pins(root, lock, platform)
    for requirement in declared(root, lock):
        if requirement.marker is None or requirement.marker.evaluate(platform):
            name = canonicalize_name(requirement.name)
            assert requirement.specifier.contains(locked[name]), f"make lock: {requirement} is {locked[name]}"


def test_the_locks_agree(root):
    cpu, gpu, test = (pins(root, lock, LINUX) for lock in LOCKS)
    assert cpu.items() <= test.items()
    assert {name: gpu[name] for name in cpu.keys() & gpu.keys()} == {
        n: cpu[n] for n in cpu.keys() & gpu.keys()
    }
    assert cpu.keys() - gpu.keys() == {"faiss-cpu"}


def test_one_faiss_everywhere(root):
    assert {"faiss-gpu", "nvidia-cublas-cu12", "nvidia-cuda-runtime-cu12", "nvidia-curand-cu12"} <= pins(
        root, "gpu", LINUX
    ).keys()
    for lock in LOCKS:
        for platform in (LINUX, LINUX_ARM, MACOS):
            assert len({"faiss-cpu", "faiss-gpu"} & pins(root, lock, platform).keys()) == 1


def test_macos_gets_no_cuda(root):
    assert not [name for name in pins(root, "gpu", MACOS) if name.startswith(("nvidia", "cuda", "triton"))]


def test_the_reader_loses_nothing(root, tmp_path):
    source = root / "envs" / "test.txt"
    requirements.write(tmp_path / "copy.txt", requirements.read(source))
    body = [line for line in source.read_text().splitlines() if not line.startswith("#")]
    assert (tmp_path / "copy.txt").read_text().splitlines() == body


def test_the_cpu_build_of_torch_replaces_the_whole_gpu_stack(root):
    blocks = requirements.read(root / "envs" / "cpu.txt")
    kept = requirements.without_gpu_stack(blocks)
    gone = blocks.keys() - kept.keys()
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "nvidia-nccl-cu13", "cuda-bindings"} <= gone
    # What goes is torch's own; every declared dependency but torch and torchvision stays.
    assert {canonicalize_name(r.name) for r in declared(root, "cpu")} - kept.keys() == {
        "torch",
        "torchvision",
    }
    assert requirements.version(blocks, "torch") == pins(root, "cpu", LINUX)["torch"]


def test_merging_keeps_the_first_lock(root):
    gpu, test = (requirements.read(root / "envs" / f"{name}.txt") for name in ("gpu", "test"))
    both = requirements.merged(gpu, test)
    assert both["faiss-cpu"] == gpu["faiss-cpu"] != test["faiss-cpu"]
    assert both.keys() == gpu.keys() | test.keys()
