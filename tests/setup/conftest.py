"""Makes the set-up scripts of ``envs/`` importable; they are no part of the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "envs"))


@pytest.fixture
def root() -> Path:
    return ROOT
