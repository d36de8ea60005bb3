"""The digest moves with code and with nothing else. Each case edits a copy of the package."""

import shutil
import subprocess
import sys

import pytest

from gauntlet.core.registry import PACKAGE

PROBE = (
    "from gauntlet.core.digest import code_digest;"
    "print(code_digest('gauntlet.core.resume', methods=(('attack', 'shift'),)))"
)


@pytest.fixture
def package(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "gauntlet", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "gauntlet"


def digest(package):
    run = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={"PYTHONPATH": str(package.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_siblings_do_not_move_it(package):
    before = digest(package)
    resume = package / "core/resume.py"
    edit(resume, '"""Resume for long loops', '"""Another docstring')
    resume.write_text(resume.read_text() + "\n# a comment\n")
    (package / "attacks/brand_new.py").write_text("X = 1\n")
    assert digest(package) == before


def test_code_in_the_module_moves_it(package):
    before = digest(package)
    edit(package / "core/resume.py", "every: float = 20.0", "every: float = 21.0")
    assert digest(package) != before


def test_code_of_an_imported_module_moves_it(package):
    before = digest(package)
    edit(package / "core/files.py", "compression_level=9", "compression_level=8")
    assert digest(package) != before


def test_code_of_the_method_moves_it(package):
    before = digest(package)
    shift = package / "attacks/shift.py"
    shift.write_text(shift.read_text() + "\nEXTRA = 1\n")
    assert digest(package) != before


def test_computing_it_imports_no_torch():
    code = PROBE + "; import sys; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split()[-1] == "False"


def test_an_unknown_module_is_an_error():
    from gauntlet.core.digest import code_digest

    with pytest.raises(ValueError, match="no_such"):
        code_digest("gauntlet.no_such")
