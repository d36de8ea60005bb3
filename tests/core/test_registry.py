import subprocess
import sys

import pytest

from gauntlet.core import registry
from gauntlet.core.errors import GauntletError


def test_a_name_resolves_to_its_file_without_its_siblings():
    code = (
        "import sys; from gauntlet.core.registry import resolve; resolve('attack', 'shift');"
        "print(sorted(m for m in sys.modules if m.startswith('gauntlet.attacks.')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "gauntlet.attacks.shift" in out
    assert "joint_pair" not in out


def test_every_method_file_registers_its_own_name():
    for kind in registry.homes():
        for name in registry.names(kind):
            assert callable(registry.resolve(kind, name)), (kind, name)


def test_a_typo_names_the_closest():
    with pytest.raises(GauntletError, match="did you mean 'joint_pair'"):
        registry.resolve("attack", "joint_pear")


def test_a_file_must_carry_its_methods_name():
    with pytest.raises(GauntletError, match=r"registered in test_registry\.py"):

        @registry.register("attack", "elsewhere")
        class Elsewhere:
            pass


def test_options_are_read_without_importing(tmp_path, monkeypatch):
    home = tmp_path / "attacks"
    home.mkdir()
    (home / "__init__.py").write_text('KIND = "attack"\n')
    (home / "toy.py").write_text(
        "import does_not_exist\n"
        '@register("attack", "toy")\n'
        "class Toy:\n"
        "    def __init__(self, rate: float, *, mode: str = 'a', depth: int | None = None): ...\n"
    )
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    assert registry.options("attack", "toy") == {
        "rate": ("float", True),
        "mode": ("str", False),
        "depth": ("int | None", False),
    }


def test_options_of_a_function_are_its_keyword_only_arguments(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text('KIND = "toy"\n')
    (tmp_path / "cut.py").write_text(
        '@register("toy", "cut")\ndef cut(labels, clients: int, *, ratio: float, least: int = 1): ...\n'
    )
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    assert registry.options("toy", "cut") == {"ratio": ("float", True), "least": ("int", False)}


def test_options_may_be_inherited_from_a_class_of_another_file(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text('KIND = "toy"\n')
    (tmp_path / "base.py").write_text(
        "class Root:\n    def __init__(self, rate: float): ...\n\nclass Base(Root):\n    pass\n"
    )
    child = 'from gauntlet.base import Base\n\n@register("toy", "{}")\nclass Child(Base):\n    {}\n'
    (tmp_path / "heir.py").write_text(child.format("heir", "pass"))
    (tmp_path / "own.py").write_text(child.format("own", "def __init__(self, depth: int = 1): ..."))
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    assert registry.options("toy", "heir") == {"rate": ("float", True)}
    assert registry.options("toy", "own") == {"depth": ("int", False)}


def test_an_unknown_kind_names_the_closest():
    with pytest.raises(GauntletError, match="did you mean 'defense'"):
        registry.names("defence")
