"""Peers whose dependencies conflict with ours: each in its own locked environment, as a process.

``peers/<name>/`` holds ``requirements.in`` and the lock made from it, ``requirements.txt``, and
``worker.py`` (or several scripts), which talks in lines: it prints ``ready`` and then, for every line that it
reads, one line of JSON. Renew a lock with::

    uv pip compile --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
        --no-emit-find-links --no-header requirements.in -o requirements.txt
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "envs"))

import bootstrap  # noqa: E402
import requirements  # noqa: E402


def environment(name: str) -> Path:
    """The Python of the peer's environment in ``.venv-peers/<name>``; built when it is not there.

    Where the peer is locked at our version of torch, ours is lent to it, at the end of its path: both
    sides then run the same build, and gigabytes are not installed twice.
    """
    lock = HERE / "peers" / name / "requirements.txt"
    venv = HERE / ".venv-peers" / name
    stamp = venv / "requirements.txt"
    python = venv / "bin" / "python"
    if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
        return python
    blocks = requirements.read(lock)
    lent = requirements.version(blocks, "torch") == metadata.version("torch").partition("+")[0]
    print(f"building the environment of {name}", file=sys.stderr)
    uv, environ = bootstrap.uv(ROOT, sys.executable)
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], env=environ, check=True)
    wanted = venv / "wanted.txt"
    requirements.write(wanted, requirements.without_gpu_stack(blocks) if lent else blocks)
    command = [uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps", "--require-hashes"]
    subprocess.run([*command, "-r", str(wanted)], env=environ, check=True)
    if lent:
        for folder in (venv / "lib").glob("python*/site-packages"):
            (folder / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    shutil.copy(lock, stamp)  # last: an interrupted build is begun again
    return python


class Worker:
    """A running process that answers lines."""

    def __init__(self, command: list[str], **options):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **options)
        self._read("ready")

    def ask(self, line: str) -> dict:
        self.send(line)
        return self.answer()

    def send(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        return json.loads(self._read())

    def _read(self, expected: str | None = None) -> str:
        line = self.process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise SystemExit(f"the peer ended or said {line!r}; its message is above")
        return line

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)


class Peer(Worker):
    """A running worker of a peer.

    Args:
        name: the folder under ``peers/``.
        settings: given to the worker as JSON.
        checkout: import the peer from this folder, in our own environment, instead.
        script: the worker, a file of the peer's folder.
    """

    def __init__(self, name: str, settings: dict, checkout: Path | None = None, script: str = "worker.py"):
        python = Path(sys.executable) if checkout else environment(name)
        path = [str(ROOT / "src"), *([str(checkout)] if checkout else [])]
        super().__init__(
            [str(python), str(HERE / "peers" / name / script), json.dumps(settings)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        )
