"""Fixtures of the report's tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests import their helper `synthetic`

from synthetic import build


@pytest.fixture(scope="session")
def gathered(tmp_path_factory) -> Path:
    """All methods on two datasets, five seeds. Read only."""
    return build(tmp_path_factory.mktemp("measurements"))
