"""Where an output came from: a sidecar beside the payload.

The sidecar may differ between two runs of the same inputs (times, host, commit); the payload may not.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from gauntlet.core.files import read_sealed, sha256_file, write_sealed

#: What the name of a payload is followed by in that of its sidecar.
SIDECAR = ".provenance.json"

#: Libraries whose version can change a number.
LIBRARIES = ("torch", "torchvision", "numpy", "faiss-cpu", "faiss-gpu", "scikit-learn", "scipy", "pandas")


def sidecar_path(payload: str | Path) -> Path:
    """``model.safetensors`` -> ``model.safetensors.provenance.json``."""
    payload = Path(payload)
    return payload.with_name(payload.name + SIDECAR)


class Recorder:
    """Times a step and writes the sidecars of its outputs.

    Args:
        step: the step's name, as on the command line (``dml train``).
        config: everything that determined the payload, JSON-ready.
        inputs: files that were read.
        pin: DVC's pin of the dataset that was read.
        verified: SHA-256 of files that were read and compared with it, such as those of a dataset.
    """

    def __init__(
        self,
        step: str,
        config: dict[str, Any],
        inputs: list[str | Path] = (),
        pin: Path | None = None,
        verified: Mapping[str, str] | None = None,
    ):
        self.step, self.config, self.pin = step, config, pin
        self.inputs = {str(path): sha256_file(path) for path in inputs} | dict(verified or {})
        self.started = time.time()
        self._clock = time.perf_counter()

    def write(self, *payloads: str | Path, **extra: Any) -> None:
        """Write the sidecar of every payload. ``extra`` adds fields (``device``, ``cost``)."""
        common = {
            "step": self.step,
            "command": sys.argv,
            "config": self.config,
            "inputs": self.inputs,
            "commit": commit(),
            "data_version": data_version(self.pin),
            "environment": environment(),
            "host": platform.node(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds": round(time.perf_counter() - self._clock, 3),
            **extra,
        }
        for payload in map(Path, payloads):
            write_sealed(
                sidecar_path(payload),
                {**common, "payload": payload.name, "sha256": sha256_file(payload)},
            )


def read_sidecar(payload: str | Path) -> dict[str, Any]:
    """Raises GauntletError when it is absent, damaged or edited."""
    return read_sealed(sidecar_path(payload))


def commit() -> str:
    """The commit of the working directory, ``+dirty`` when files differ from it, or ``unknown``."""
    try:
        run = {"capture_output": True, "text": True, "check": True, "timeout": 20}
        head = subprocess.run(["git", "rev-parse", "HEAD"], **run).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{head}+dirty" if changed else head


def data_version(pin: Path | None) -> str | None:
    """The hash in one of DVC's files, or None where there is no such file."""
    import yaml

    if pin is None or not pin.is_file():
        return None
    return yaml.safe_load(pin.read_text(encoding="utf-8"))["outs"][0]["md5"]


def environment() -> dict[str, Any]:
    """Python, the platform, and the libraries that can change a number."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), "libraries": versions}
