"""Write the locks of ``envs/`` from ``pyproject.toml``: ``make lock``, or ``make lock UPGRADE=1`` to renew.

Universal (Linux, macOS arm64), with hashes and without index addresses. The locks agree: ``gpu`` and
``test`` start from ``cpu``'s versions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bootstrap
import requirements

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / "envs"

#: lock -> extras of pyproject.toml that are in it. `cpu` comes first: the others start from it.
LOCKS = {"cpu": ["cpu", "build"], "gpu": ["gpu", "build"], "test": ["cpu", "test", "remotes", "build"]}


def compile_lock(uv, environ, source, out, extras, upgrade):
    command = [uv, "pip", "compile", str(source), "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "-o", str(out)]
    command += [part for extra in extras for part in ("--extra", extra)]
    command += ["--constraint", str(ENVS / "constraints.in")]
    command += ["--upgrade"] if upgrade else []
    command += ["--no-annotate"] if source.suffix == ".in" else []  # its temporary path says nothing
    if subprocess.run(command, env=environ, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode:
        raise SystemExit(f"lock: {out.stem} could not be resolved; the locks are as they were")


def faults(path):
    """What is wrong with a lock file: requirements without a hash, and addresses."""
    found = [
        f"{name} has no hash"
        for name, blocks in requirements.read(path).items()
        if not all("--hash=sha256:" in block for block in blocks)
    ]
    lines = path.read_text(encoding="utf-8").splitlines()
    return found + [f"line {n} holds an address" for n, line in enumerate(lines, 1) if "://" in line]


def main():
    upgrade = "--upgrade" in sys.argv[1:]
    uv, environ = bootstrap.uv(ROOT, sys.executable)
    environ = {**environ, "UV_CUSTOM_COMPILE_COMMAND": "make lock"}
    with tempfile.TemporaryDirectory(dir=ENVS) as scratch:
        fresh = {name: Path(scratch) / f"{name}.txt" for name in (*LOCKS, "uv")}
        for name, extras in LOCKS.items():
            old = fresh["cpu"] if name != "cpu" else ENVS / "cpu.txt"
            if old.exists():
                shutil.copy(old, fresh[name])
            if name != "cpu" and not upgrade and (ENVS / f"{name}.txt").exists():
                kept = requirements.merged(
                    requirements.read(fresh["cpu"]), requirements.read(ENVS / f"{name}.txt")
                )
                requirements.write(fresh[name], kept)
            # Starting from cpu's new versions is what keeps the locks alike: --upgrade only there.
            compile_lock(uv, environ, ROOT / "pyproject.toml", fresh[name], extras, upgrade and name == "cpu")
        source = Path(scratch) / "uv.in"
        source.write_text("uv\n", encoding="utf-8")
        if not upgrade:
            shutil.copy(ENVS / "uv.txt", fresh["uv"])
        compile_lock(uv, environ, source, fresh["uv"], [], upgrade)
        for name, path in fresh.items():
            if wrong := faults(path):
                raise SystemExit(f"lock: {name}: {wrong[0]}; the locks are as they were")
        for name, path in fresh.items():
            os.replace(path, ENVS / f"{name}.txt")
            print(f"lock: envs/{name}.txt: {len(requirements.read(ENVS / f'{name}.txt'))} packages")


if __name__ == "__main__":
    main()
