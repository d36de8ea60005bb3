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


def test_a_member_that_is_missing_is_named(tmp_path, nets):
    path = tmp_path / "model.safetensors"
    members = checkpoints.flat(list(map(weights, nets)))
    files.save(path, {1: {name: value for name, value in members.items() if not name.startswith("member2.")}})
    for expected in (None, 4):
        with pytest.raises(GauntletError, match="no weights of member 2 of seed 1") as caught:
            checkpoints.load(path, 1, "conv", 1, 8, members=expected)
        assert caught.value.file == path
    save(path, {1: nets[:2]})
    assert len(checkpoints.load(path, 1, "conv", 1, 8, members=2).members) == 2
    with pytest.raises(GauntletError, match="no weights of member 2 of seed 1"):
        checkpoints.load(path, 1, "conv", 1, 8, members=3)


@pytest.mark.parametrize("lost", ["head.linear.bias", "head.linear.weight", "features.1.norm.running_var"])
def test_a_member_that_lost_a_tensor_is_named(tmp_path, nets, lost):
    path = tmp_path / "model.safetensors"
    members = checkpoints.flat(list(map(weights, nets[:2])))
    del members[f"member1.{lost}"]
    files.save(path, {0: members})
    with pytest.raises(GauntletError, match=f"seed0.member1: .*: {lost} is missing"):
        checkpoints.load(path, 0, "conv", 1, 8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_member_with_a_value_that_is_no_number_is_named(tmp_path, nets, value):
    path = tmp_path / "model.safetensors"
    members = checkpoints.flat(list(map(weights, nets[:2])))
    members["member1.head.linear.weight"][2, 3] = value
    files.save(path, {0: members})
    with pytest.raises(GauntletError, match=r"head\.linear\.weight of member 1 .* NaN or infinity"):
        checkpoints.load(path, 0, "conv", 1, 8)
    members["member1.head.linear.weight"][2, 3] = 0
    members["member0.proxies"][0, 0] = value  # not used any more
    files.save(path, {0: members})
    assert len(checkpoints.load(path, 0, "conv", 1, 8).members) == 2
