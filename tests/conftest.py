"""What all tests share: one thread each, and the rule for what a machine may lack.

``@pytest.mark.needs("chromium")`` skips a test where chromium is missing and prints why. Under
``GAUNTLET_REQUIRE_ALL=1`` (CI) every skip is a failure, so that nothing goes untested unnoticed.
"""

from __future__ import annotations

import os
import shutil

# Before numpy or torch is imported: tests share the cores, and results must not depend on their number.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same examples in every run; ``--hypothesis-profile=default`` draws new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


def _system(name):
    """Debian puts servers where only root looks."""
    return shutil.which(name, path=os.environ["PATH"] + os.pathsep + "/usr/sbin") is not None


#: What a test may need -> is it here, and what to do when it is not.
NEEDS = {
    "root": (lambda: os.geteuid() == 0, "run as root"),
    "chromium": (lambda: shutil.which("chromium") is not None, "install chromium"),
    "git": (lambda: shutil.which("git") is not None, "install git"),
    "make": (lambda: shutil.which("make") is not None, "install make"),
    "slurm": (
        lambda: all(map(shutil.which, ("munged", "slurmctld", "slurmd", "srun"))),
        "install munge, slurmctld, slurmd and slurm-client",
    ),
    "/dev/full": (lambda: os.path.exists("/dev/full"), "run on Linux"),
    "sshd": (lambda: _system("sshd"), "install openssh-server"),
    "nginx": (lambda: _system("nginx"), "install nginx-light"),
    "apt": (lambda: shutil.which("apt-get") is not None, "run on Debian, or install apt"),
}


def pytest_configure(config):
    config.addinivalue_line("markers", f"needs(name, ...): skip without one of {', '.join(NEEDS)}")


def pytest_make_parametrize_id(val, argname):
    """Whole files name no test: archives hold the time at which a worker made them, and names must agree."""
    return argname if isinstance(val, bytes) and len(val) > 32 else None


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            here, remedy = NEEDS[name]
            if not here():
                pytest.skip(f"needs {name}: {remedy}")


def _must_not_skip(report):
    if os.environ.get("GAUNTLET_REQUIRE_ALL") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"GAUNTLET_REQUIRE_ALL=1 allows no skip: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _must_not_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _must_not_skip((yield))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The prepared digits' folder: 10 classes of about 143 training images, 364 test images, 8x8 pixels."""
    from gauntlet.data import fetch

    return fetch.prepare("digits", tmp_path_factory.mktemp("prepared") / "digits")


@pytest.fixture(scope="session")
def digits(folder):
    from gauntlet.data import load

    return load("digits", folder)
