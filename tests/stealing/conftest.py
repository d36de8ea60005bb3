"""Makes ``toy_stealing.py`` importable; targets of the digits, trained once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def target(tmp_path_factory, folder):
    """Weights of two targets, seeds 0 and 1."""
    from toy_stealing import identity

    from gauntlet.families.classifier import train
    from gauntlet.families.stealing.settings import needs

    out = tmp_path_factory.mktemp("target")
    train.run(needs(identity("mega"))["train"]["target"], [0, 1], out, None, "cpu", folder)
    return out / "model.safetensors"
