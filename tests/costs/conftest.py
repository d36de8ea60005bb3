import pytest

from gauntlet.core.registry import PACKAGE

ROOT = PACKAGE.parents[1]


@pytest.fixture
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder: nothing is prepared, trained or counted there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
