"""Makes ``toy_federated.py`` importable; the digits, prepared once; one thread."""

import sys
from pathlib import Path

import pytest
import torch

from gauntlet.data import fetch, load

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The prepared digits' folder: 10 classes of about 143 training images, 364 test images, 8x8 pixels."""
    return fetch.prepare("digits", tmp_path_factory.mktemp("prepared") / "digits")


@pytest.fixture(scope="session")
def digits(folder):
    return load("digits", folder)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
