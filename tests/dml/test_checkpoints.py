import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.families import weights as files
from gauntlet.families.dml import checkpoints
from gauntlet.models import build


def weights(net):
    return {**net.state_dict(), "proxies": torch.randn(3, 6)}


def save(path, seeds):
    files.save(path, {seed: checkpoints.flat(list(map(weights, nets))) for seed, nets in seeds.items()})


@pytest.fixture
def nets():
    torch.manual_seed(0)
    return [build("conv", 1, 8, 6) for _ in range(4)]


def test_weights_come_back_as_the_same_function(tmp_path, nets):
    path = tmp_path / "model.safetensors"
    save(path, {7: nets[:1], 12: nets[1:]})
    images = torch.rand(4, 1, 8, 8)
    single = checkpoints.load(path, 7, "conv", 1, 8)
    ensemble = checkpoints.load(path, 12, "conv", 1, 8)
    assert torch.equal(single(images), nets[0].eval()(images))
    for member, net in zip(ensemble.members, nets[1:], strict=True):
        assert not member.training
        assert torch.equal(member(images), net.eval()(images))
    assert not any(p.requires_grad for p in ensemble.parameters())
    assert checkpoints.read(path, 7)[0]["proxies"].shape == (3, 6)


def test_faults_are_named(tmp_path, nets):
    path = tmp_path / "model.safetensors"
    with pytest.raises(GauntletError, match="no such file"):
        checkpoints.read(path, 0)
    save(path, {1: nets[:1]})
    with pytest.raises(GauntletError, match="no weights of seed 11"):
        checkpoints.read(path, 11)
    with pytest.raises(GauntletError, match="not weights of 'resnet18'"):
        checkpoints.load(path, 1, "resnet18", 1, 8)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(GauntletError, match="damaged"):
        checkpoints.read(path, 1)
