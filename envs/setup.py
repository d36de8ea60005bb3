"""Build the locked environment in ``.venv``. Needs Python 3.11 and a package index, nothing else.

    python3 envs/setup.py [cpu|gpu|test]

Without a name it keeps the environment that is there, or builds ``cpu``. A finished environment is
left alone; an interrupted or outdated one is rebuilt. ``TORCH_INDEX`` takes the address (or folder)
of PyTorch's CPU wheels and puts them in place of the default build, which brings the CUDA libraries.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ((3, 11), (3, 12))


def check_python(version=sys.version_info):
    if tuple(version[:2]) not in SUPPORTED:
        wanted = " or ".join("%d.%d" % pair for pair in SUPPORTED)  # noqa: UP031 - older Pythons read this
        found = "%d.%d" % tuple(version[:2])  # noqa: UP031
        raise SystemExit(
            f"setup: Python {wanted} is needed, and this is Python {found} ({sys.executable}); "
            "install one, then name it: make setup PYTHON=python3.11"
        )


check_python()

import bootstrap  # noqa: E402 - after the version check, so that an old Python gets its clear line
import disk  # noqa: E402
import requirements  # noqa: E402
import state  # noqa: E402
from bootstrap import SetupError  # noqa: E402


def base_python():
    """The Python behind an activated environment: that one may be the environment to replace."""
    return getattr(sys, "_base_executable", None) or sys.executable


def requirements_for(names, torch_index):
    """The merged lock, and the packages that come from ``torch_index`` instead."""
    blocks = {}
    for name in sorted(names):  # gpu before test, so that gpu's markers choose the `faiss`
        blocks = requirements.merged(blocks, requirements.read(state.ENVS / f"{name}.txt"))
    if not torch_index:
        return blocks, []
    torch = [f"{name}=={requirements.version(blocks, name)}" for name in ("torch", "torchvision")]
    return requirements.without_gpu_stack(blocks), torch


def clear(venv):
    """Remove an environment, and nothing that is not one."""
    if venv.is_symlink() or (venv.exists() and not venv.is_dir()):
        raise SetupError(f"{venv} is not a folder; remove it, then run it again")
    if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise SetupError(f"{venv} is not a virtual environment; remove it, then run it again")
    if venv.exists():
        shutil.rmtree(venv)


def build(venv, names, torch_index, description):
    download, on_disk = disk.sizes(names, torch_index)
    disk.check(venv, on_disk)
    title = "+".join(sorted(names))
    print(
        f"setup: environment '{title}' in {venv.name}/: about {download} GB to download (less what uv's "
        f"cache holds), {on_disk} GB on disk",
        flush=True,
    )
    uv, environ = bootstrap.uv(ROOT, base_python())
    if not disk.same(venv.parent, disk.cache_folder()):
        environ.setdefault("UV_LINK_MODE", "copy")
    clear(venv)
    run([uv, "venv", "--quiet", "--python", base_python(), str(venv)], environ, "creating the environment")
    state.write_stamp(venv, {**description, "state": "building"})

    blocks, torch = requirements_for(names, torch_index)
    merged = venv / "requirements.txt"
    requirements.write(merged, blocks)
    # Compiled once: where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, a shared folder), every job
    # would compile torch anew, which more than doubles its start-up.
    python = ["--compile-bytecode", "--python", str(venv / "bin" / "python")]
    locked = ["--no-deps", "--require-hashes", "--build-constraints", str(merged)]
    run([uv, "pip", "install", *python, *locked, "-r", str(merged)], environ, "installing the packages")
    if torch:
        print("setup: torch and torchvision come from TORCH_INDEX, at the locked versions, without hashes")
        from_index = [uv, "pip", "install", *python, "--no-deps", *source(torch_index), *torch]
        run(from_index, without_indexes(environ), "installing torch")
    install_project(uv, environ, venv)
    state.write_stamp(venv, {**description, "state": "done"})
    print(f"setup: done; activate it with `source {venv.name}/bin/activate`", flush=True)


def install_project(uv, environ, venv):
    command = [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python")]
    command += ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    run(command, environ, "installing gauntlet")


def refresh_project(venv, description):
    uv, environ = bootstrap.uv(ROOT, base_python())
    install_project(uv, environ, venv)
    state.write_stamp(venv, {**description, "state": "done"})


def source(torch_index):
    if Path(torch_index).is_dir():
        return ["--no-index", "--find-links", torch_index]
    return ["--default-index", torch_index]


def without_indexes(environ):
    """So that torch comes from TORCH_INDEX and from nowhere else."""
    others = (
        "UV_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "UV_NO_INDEX",
    )
    return {name: value for name, value in environ.items() if name not in others}


def run(command, environ, doing):
    if subprocess.run(command, env=environ, cwd=ROOT, check=False).returncode:
        raise SetupError(
            f"{doing} failed (uv's message is above); correct that, then run the same command again"
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", nargs="?", choices=("cpu", "gpu", "test"))
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--torch-index", default=os.environ.get("TORCH_INDEX", ""))
    options = parser.parse_args(arguments)
    venv = options.venv.absolute()
    stamp = state.read_stamp(venv)
    names = state.wanted_locks(options.environment, stamp)
    # Without TORCH_INDEX an environment keeps the torch that it was built with.
    torch_index = options.torch_index or ("" if "gpu" in names else stamp.get("torch_index", ""))
    try:
        if torch_index and "gpu" in names:
            raise SetupError(
                "TORCH_INDEX is for the CPU build; the gpu environment takes torch from the lock"
            )
        description = state.describe(names, torch_index)
        work = state.missing_work(venv, stamp, description)
        if work == "all":
            build(venv, names, torch_index, description)
        elif work == "project":
            refresh_project(venv, description)
        else:
            print(f"setup: {venv.name} is up to date ({'+'.join(sorted(names))})", flush=True)
    except SetupError as error:
        raise SystemExit(f"setup: {error}") from None
    except OSError as error:
        raise SystemExit(
            f"setup: {error.filename or venv}: {error.strerror}; make room or make it writable, "
            "then run it again"
        ) from None


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("setup: interrupted; run it again to finish") from None
