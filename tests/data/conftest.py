"""A toy dataset whose every byte the tests know, and a loopback web server."""

import sys
from pathlib import Path

import numpy as np
import pytest

import loopback

sys.path.insert(0, str(Path(__file__).parent))  # for handmade.py

from handmade import Toy, facts, idx

from gauntlet.core import transfer


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch):
    for name in ("GAUNTLET_DATA", "GAUNTLET_OFFLINE", "GAUNTLET_CONNECTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "POLICY", loopback.QUICK)


@pytest.fixture
def toy(tmp_path) -> Toy:
    random = np.random.default_rng(0)
    arrays = {
        "train_images": random.integers(0, 256, (6, 4, 3), np.uint8),
        "train_labels": np.array([0, 1, 1, 0, 1, 1], np.uint8),
        "test_images": random.integers(0, 256, (3, 4, 3), np.uint8),
        "test_labels": np.array([1, 0, 1], np.uint8),
    }
    files = {f"toy-{role}-idx": idx(array) for role, array in arrays.items()}
    fields = {
        "name": "toy",
        "title": "Toy",
        "reference": "handmade",
        "licence": "MIT",
        "terms": "vendor",
        "folder": "datasets/toy",
        "classes": ["zero", "one"],
        "shape": [1, 4, 3],
        "peak": 255,
        "counts": {"train": [2, 4], "test": [1, 2]},
        "reader": "idx",
        "files": {role: {"name": f"toy-{role}-idx", **facts(files[f"toy-{role}-idx"])} for role in arrays},
    }
    return Toy(files, fields, arrays)


@pytest.fixture
def server():
    with loopback.running() as server:
        yield server
