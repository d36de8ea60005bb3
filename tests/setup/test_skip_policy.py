"""The rule of tests/conftest.py, run on a small suite of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

SUITE = """
import pytest

@pytest.mark.needs("chromium")
def test_in_a_browser():
    pass

def test_plain():
    pass

@pytest.mark.xfail(strict=True)
def test_known_fault():
    assert False
"""


@pytest.fixture
def run(tmp_path, root):
    def run(suite, require_all):
        shutil.copy(root / "tests" / "conftest.py", tmp_path)
        (tmp_path / "test_suite.py").write_text(suite)
        environ = {**os.environ, "GAUNTLET_REQUIRE_ALL": require_all, "PATH": "/nowhere"}
        command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    return run


def test_a_missing_program_skips_with_its_reason(run):
    done = run(SUITE, "0")
    assert done.returncode == 0
    assert "needs chromium: install chromium" in done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout


def test_a_skip_fails_when_everything_is_required(run):
    done = run(SUITE, "1")
    assert done.returncode == 1
    assert "allows no skip" in done.stdout
    assert "1 passed, 1 xfailed, 1 error" in done.stdout


def test_a_skipped_module_fails_too(run):
    suite = "import pytest\npytest.importorskip('no_such_module')\n"
    assert run(suite, "0").returncode == 5  # nothing was collected
    assert run(suite, "1").returncode == 2
