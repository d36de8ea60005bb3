"""Bring uv from the package index that pip is configured for, and tell uv of that index."""

from __future__ import annotations

import os
import shutil
import subprocess

import requirements

#: pip's setting -> the variable by which uv knows it.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}


class SetupError(Exception):
    """A problem that the user can act on: one line, with the remedy."""


def pip_settings(text):
    """pip's settings from the output of ``pip config list``; a variable wins over a file."""
    settings = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in ("global", "install", ":env:") and name in PIP_TO_UV:
            value = " ".join(value.strip().strip("'\"").replace("\\n", " ").split())
            if section == ":env:" or name not in settings:
                settings[name] = value
    return settings


def uv_environment(settings, environ):
    """The variables for uv: what the user set for uv stands, else what the user set for pip.

    The locks carry hashes, so a package may come from any configured index, as with pip.
    """
    result = dict(environ)
    result["UV_PYTHON_DOWNLOADS"] = "never"
    for name, variable in PIP_TO_UV.items():
        if name in settings and variable not in environ:
            result[variable] = settings[name]
    if "UV_INDEX_URL" in environ and "UV_DEFAULT_INDEX" not in environ:
        result.pop("UV_DEFAULT_INDEX", None)  # the older name of the same setting
    if "UV_FIND_LINKS" in result and "UV_FIND_LINKS" not in environ:
        result["UV_FIND_LINKS"] = ",".join(result["UV_FIND_LINKS"].split())
    if "UV_INDEX" in result or "UV_EXTRA_INDEX_URL" in result:
        result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return result


def pip_of(python, home):
    """A command that runs pip, in a small environment of its own when this Python can make one."""
    venv = home / "pip"
    inside = venv / "bin" / "python"
    if not _works([str(inside), "-m", "pip", "--version"]):
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(venv)], capture_output=True, check=False)
    for candidate in (str(inside), python):
        if _works([candidate, "-m", "pip", "--version"]):
            return [candidate, "-m", "pip", "--disable-pip-version-check"]
    raise SetupError(
        "this Python has neither venv nor pip; install one of them "
        "(Debian and Ubuntu: apt install python3-venv), then run it again"
    )


def uv(root, python):
    """Install uv (locked in envs/uv.txt) into ``.uv/`` unless it is there.

    Returns:
        uv's path and the environment variables to run it with.
    """
    home = root / ".uv"
    home.mkdir(exist_ok=True)
    pip = pip_of(python, home)
    lock = root / "envs" / "uv.txt"
    target = home / lock_tag(lock)
    binary = target / "bin" / "uv"
    if not _works([str(binary), "--version"]):
        print("setup: getting uv from the package index", flush=True)
        shutil.rmtree(target, ignore_errors=True)
        command = [*pip, "install", "--quiet", "--target", str(target), "--require-hashes", "-r", str(lock)]
        if subprocess.run(command, check=False).returncode:
            raise SetupError(
                "uv could not be installed from the package index; check the network, or name your index "
                "with PIP_INDEX_URL, then run it again"
            )
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    return str(binary), uv_environment(pip_settings(listed), os.environ)


def lock_tag(lock):
    """``uv-<version>`` from envs/uv.txt, so that another version gets another folder."""
    return "uv-" + requirements.version(requirements.read(lock), "uv")


def _works(command):
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
