"""What a job's device is set to do."""

from contextlib import nullcontext

import pytest
import torch

from gauntlet.core.devices import setup
from gauntlet.core.errors import GauntletError


@pytest.fixture(autouse=True)
def _as_before():
    products = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [each.fp32_precision for each in products]
    yield
    for each, precision in zip(products, before, strict=True):
        each.fp32_precision = precision


def precisions():
    return {torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision}


def test_products_are_ieee_unless_a_training_may_use_tf32():
    setup("cpu", tf32=True)
    assert precisions() == {"tf32"}
    setup("cpu")
    assert precisions() == {"ieee"}


@pytest.mark.parametrize(
    ("family", "step", "expected"),
    [("dml", "train", True), ("federated", "train", False), ("dml", "attack", False)],
)
def test_only_trainings_whose_family_says_so_use_tf32(monkeypatch, family, step, expected, tmp_path):
    from gauntlet import cli, plan
    from gauntlet.core import devices

    seen = {}

    class Stop(Exception):
        pass

    def setup(device, threads, tf32=False):
        seen["tf32"] = tf32
        raise Stop

    class Cells:
        def cell(self, *names):
            return type("Found", (), {"gpus": 1})()

    monkeypatch.setattr(devices, "setup", setup)
    monkeypatch.setattr(cli, "_at_work", lambda cell, step: nullcontext())
    monkeypatch.setattr(plan, "load_plan", lambda config: Cells())
    with pytest.raises(Stop):
        {"train": cli._train, "attack": cli._attack}[step](family)(tmp_path, "cell")
    assert seen["tf32"] is expected


def test_a_gpu_that_is_not_there_is_one_message(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GauntletError, match="no GPU is visible"):
        setup("cuda")
