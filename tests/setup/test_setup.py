"""``envs/setup.py``: what it refuses, what it decides, and that it builds and repairs for real."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.specifiers import SpecifierSet

import bootstrap
import disk
import requirements
import setup
import state
from bootstrap import SetupError


@pytest.mark.parametrize("version", [(3, 6, 8), (3, 10, 14), (3, 13, 0)])
def test_a_wrong_python_gets_one_clear_line(version):
    with pytest.raises(SystemExit) as caught:
        setup.check_python(version)
    message = str(caught.value)
    assert f"this is Python {version[0]}.{version[1]}" in message
    assert "3.11" in message
    assert "PYTHON=" in message
    assert "\n" not in message


def test_the_accepted_pythons_are_the_projects(root):
    wanted = SpecifierSet(tomllib.loads((root / "pyproject.toml").read_text())["project"]["requires-python"])
    accepted = [(3, minor) for minor in range(6, 20) if wanted.contains(f"3.{minor}")]
    assert accepted == list(setup.SUPPORTED)


def test_an_old_python_can_read_the_script(root):
    """It must reach the version check: syntax of Python 3.6 and standard imports only before it."""
    tree = ast.parse((root / "envs" / "setup.py").read_text(), feature_version=(3, 6))
    check = next(n for n, node in enumerate(tree.body) if isinstance(node, ast.Expr) and "check_python" in
                 ast.dump(node))  # fmt: skip
    imported = [alias.name for node in tree.body[:check] for alias in getattr(node, "names", [])]
    assert imported
    assert "annotations" not in imported
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names | {"Path"}


@pytest.mark.needs("make")
def test_make_passes_the_refusal_on(root, tmp_path):
    old = tmp_path / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 2, \'final\', 0); '
        "sys.argv = sys.argv[1:]; sys.path.insert(0, 'envs'); import runpy; "
        'runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"\n'
    )
    old.chmod(0o755)
    done = make(root, "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "this is Python 3.9" in done.stderr
    missing = make(root, "setup", "PYTHON=no-such-python")
    assert missing.returncode != 0
    assert "no command 'no-such-python'" in missing.stderr


@pytest.mark.needs("make")
def test_make_shows_the_commands_behind_it(root):
    assert "gauntlet reproduce --config config/mini.yaml --study eat\n" in dry(root, "reproduce", "STUDY=eat")
    assert "--config config/smoke.yaml --cores 2\n" in dry(root, "reproduce", "SCALE=smoke", "CORES=2")
    assert "envs/setup.py gpu\n" in dry(root, "setup", "ENV=gpu")
    assert "envs/setup.py test\n" in dry(root, "test")


@pytest.mark.needs("make")
def test_an_exported_ENV_is_not_ours(root):
    """Login shells and batch systems export ENV as the shell's start-up file."""
    out = dry(root, "setup", environ={"ENV": "/etc/profile"})
    assert "envs/setup.py" in out
    assert "/etc/profile" not in out


@pytest.mark.needs("make")
def test_help_lists_every_target(root):
    shown = make(root).stdout
    for target in ("setup", "reproduce", "test", "lint", "format", "lock", "bench", "clean"):
        assert f"make {target} " in shown


@pytest.mark.needs("make")
def test_clean_removes_only_what_the_pipeline_made(root):
    removed = dry(root, "clean").split()
    assert removed[:2] == ["rm", "-rf"]
    listed = subprocess.run(
        ["git", "check-ignore", *(f"{name}/x" for name in removed[2:])],
        cwd=root, capture_output=True, text=True, check=False)  # fmt: skip
    assert listed.stdout.split() == [f"{name}/x" for name in removed[2:]]
    assert not {"data", "datasets", "published", ".venv", "mlflow.db"} & set(removed)


@pytest.mark.parametrize("free", ["0", "5.5"])
def test_a_full_disk_is_seen_first(monkeypatch, tmp_path, free):
    monkeypatch.setenv("GAUNTLET_FREE_GB", free)
    monkeypatch.setattr(bootstrap, "uv", lambda *_: pytest.fail("something was fetched"))
    with pytest.raises(SystemExit) as caught:
        setup.main(["cpu", "--venv", str(tmp_path / "venv")])
    assert f"{float(free):.1f} GB free" in str(caught.value)
    assert "UV_CACHE_DIR" in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_free_space_is_the_file_systems(tmp_path, monkeypatch):
    monkeypatch.delenv("GAUNTLET_FREE_GB", raising=False)
    blocks = os.statvfs(tmp_path)
    measured = disk.free_gb(tmp_path / "not" / "yet")
    assert measured == pytest.approx(blocks.f_bavail * blocks.f_frsize / 1e9, rel=0.05)


def test_a_read_only_place_is_named(monkeypatch, tmp_path):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path / ".uv"))

    monkeypatch.setenv("GAUNTLET_FREE_GB", "inf")
    monkeypatch.setattr(bootstrap, "uv", refuse)
    with pytest.raises(SystemExit, match=r"\.uv: Permission denied; make room or make it writable"):
        setup.main(["cpu", "--venv", str(tmp_path / "venv")])


def test_only_an_environment_is_removed(tmp_path):
    precious = tmp_path / "notes.txt"
    precious.write_text("keep")
    with pytest.raises(SetupError, match="not a virtual environment"):
        setup.clear(tmp_path)
    assert precious.read_text() == "keep"
    (tmp_path / "pyvenv.cfg").touch()
    setup.clear(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    ("asked", "present", "wanted"),
    [
        (None, [], {"cpu"}),
        (None, ["gpu"], {"gpu"}),  # `make reproduce` keeps the GPU's environment
        ("cpu", ["test"], {"test"}),  # the tests' environment contains it
        ("cpu", ["gpu"], {"cpu"}),
        ("test", ["cpu"], {"test"}),
        ("test", ["gpu"], {"gpu", "test"}),  # the GPU's faiss stays
        ("gpu", ["gpu", "test"], {"gpu", "test"}),
        ("gpu", ["test"], {"gpu"}),
    ],
)
def test_the_environment_that_is_there_counts(asked, present, wanted):
    assert state.wanted_locks(asked, {"locks": dict.fromkeys(present, "")}) == wanted


def test_what_makes_an_environment_outdated(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    wanted = state.describe({"cpu"}, "")
    done = {**wanted, "state": "done"}
    assert state.missing_work(tmp_path, done, wanted) == "nothing"
    assert state.missing_work(tmp_path, {**done, "state": "building"}, wanted) == "all"
    assert state.missing_work(tmp_path, {}, wanted) == "all"
    assert state.missing_work(tmp_path, {**done, "project": "edited"}, wanted) == "project"
    for key in ("locks", "root", "python", "torch_index"):
        assert state.missing_work(tmp_path, {**done, key: "other"}, wanted) == "all", key
    (tmp_path / "bin" / "python").unlink()
    assert state.missing_work(tmp_path, done, wanted) == "all"


def test_torch_index_takes_torch_out_of_the_lock(root):
    blocks, torch = setup.requirements_for({"cpu"}, "somewhere")
    assert [name.split("==")[0] for name in torch] == ["torch", "torchvision"]
    assert "torch" not in blocks
    assert not [name for name in blocks if name.startswith("nvidia")]
    assert setup.requirements_for({"cpu"}, "")[1] == []


def test_torch_index_is_not_for_the_gpu(tmp_path):
    with pytest.raises(SystemExit, match="TORCH_INDEX is for the CPU build"):
        setup.main(["gpu", "--venv", str(tmp_path), "--torch-index", "x"])


PIP_CONFIG = """:env:.index-url='scheme://variable/simple'
global.index-url='scheme://file/simple'
global.extra-index-url='scheme://one scheme://two'
global.find-links='/a\\n/b'
install.no-binary='x'
"""


def test_pips_settings_reach_uv():
    settings = bootstrap.pip_settings(PIP_CONFIG)
    environ = bootstrap.uv_environment(settings, {"HOME": "/h"})
    assert environ["UV_DEFAULT_INDEX"] == "scheme://variable/simple"
    assert environ["UV_INDEX"] == "scheme://one scheme://two"
    assert environ["UV_FIND_LINKS"] == "/a,/b"
    assert environ["HOME"] == "/h"


def test_uvs_own_settings_win():
    settings = bootstrap.pip_settings(PIP_CONFIG)
    environ = bootstrap.uv_environment(settings, {"UV_DEFAULT_INDEX": "mine", "UV_FIND_LINKS": "/c"})
    assert (environ["UV_DEFAULT_INDEX"], environ["UV_FIND_LINKS"]) == ("mine", "/c")
    assert "UV_DEFAULT_INDEX" not in bootstrap.uv_environment(settings, {"UV_INDEX_URL": "mine"})


def test_no_index_and_no_cache_is_one_clear_line(root, tmp_path):
    copy = copy_of(root, tmp_path)
    environ = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1",
               "PIP_CONFIG_FILE": os.devnull, "GAUNTLET_FREE_GB": "inf", "PIP_FIND_LINKS": "",
               "UV_CACHE_DIR": str(tmp_path / "cache")}  # fmt: skip
    done = run_setup(copy, environ)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("setup: uv could not be installed from the package index")
    assert not (copy / ".venv").exists()


#: A small part of the lock: what building and importing this package takes.
SMALL = ("editables", "hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")


def shrink_lock(copy, names):
    blocks = requirements.read(copy / "envs" / "cpu.txt")
    assert set(names) <= blocks.keys()
    requirements.write(copy / "envs" / "cpu.txt", {name: blocks[name] for name in names})
    return blocks


def python_of(copy, code):
    command = [str(copy / ".venv" / "bin" / "python"), "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_build_repeat_and_repair(root, tmp_path):
    """Built for real, from the package index."""
    copy = copy_of(root, tmp_path)
    shrink_lock(copy, SMALL)
    first = run_setup(copy)
    assert first.returncode == 0, first.stderr
    stamp = json.loads((copy / ".venv" / state.STAMP).read_text())
    assert stamp["state"] == "done"
    assert python_of(copy, "import gauntlet; print(gauntlet.__file__)").startswith(str(copy))

    marker = copy / ".venv" / "marker"
    marker.touch()
    assert "up to date" in run_setup(copy).stdout
    assert marker.exists()

    # Killed in the middle: the stamp says so, and files are missing.
    (copy / ".venv" / state.STAMP).write_text(json.dumps({**stamp, "state": "building"}))
    shutil.rmtree(next((copy / ".venv" / "lib").glob("python*")) / "site-packages" / "packaging")
    # And it is activated, so that the Python that runs set-up is the one to be replaced.
    inside = str(copy / ".venv" / "bin" / "python")
    assert run_setup(copy, python=inside).returncode == 0
    assert not marker.exists()
    assert python_of(copy, "import packaging.version; print('here')") == "here"


@pytest.mark.slow
def test_torch_index_brings_the_cpu_build(root, tmp_path):
    """From a folder of wheels; an address goes the same way."""
    copy = copy_of(root, tmp_path)
    blocks = shrink_lock(copy, (*SMALL, "torch", "torchvision", "triton", "nvidia-cublas"))
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("torch", "torchvision"):
        toy_wheel(wheels, name, requirements.version(blocks, name) + "+cpu")
    done = run_setup(copy, {"TORCH_INDEX": str(wheels)})
    assert done.returncode == 0, done.stderr
    assert "without hashes" in done.stdout
    assert python_of(copy, "import torch; print(torch.__version__)").endswith("+cpu")
    packages = next((copy / ".venv" / "lib").glob("python*")) / "site-packages"
    assert not list(packages.glob("nvidia*"))
    # The choice stays without the variable.
    assert "up to date" in run_setup(copy).stdout


def toy_wheel(folder, name, version):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", f'__version__ = "{version}"\n')
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make(root, *arguments, environ=None):
    clean = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "ENV")
    }
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=root, env={**clean, **(environ or {})}, capture_output=True, text=True, check=False)  # fmt: skip


def dry(root, *arguments, environ=None):
    done = make(root, "-n", *arguments, environ=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_of(root, tmp_path):
    copy = tmp_path / "project"
    for folder in ("envs", "src/gauntlet"):
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / file, copy)
    return copy


def run_setup(copy, environ=None, python=sys.executable):
    command = [python, str(copy / "envs" / "setup.py"), "cpu"]
    environ = {**os.environ, "TORCH_INDEX": "", **(environ or {})}
    return subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, check=False)
