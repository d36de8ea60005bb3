import numpy as np
import torch

from gauntlet.core import seeds


def test_streams_repeat_and_differ():
    draw = {name: seeds.numpy_generator(3, name).random(4).tolist() for name in ("split", "init", "attack")}
    assert draw["split"] == seeds.numpy_generator(3, "split").random(4).tolist()
    assert len({tuple(values) for values in draw.values()}) == 3
    assert draw["split"] != seeds.numpy_generator(4, "split").random(4).tolist()


def test_nested_names_are_streams_of_their_own():
    assert (
        seeds.stream(0, "init", 1).generate_state(2).tolist()
        != seeds.stream(0, "init", 2).generate_state(2).tolist()
    )
    assert (
        seeds.stream(0, "init", 1).generate_state(2).tolist()
        != seeds.stream(0, "init1").generate_state(2).tolist()
    )


def test_torch_streams_are_uncorrelated():
    values = torch.stack([torch.rand(5000, generator=seeds.torch_generator(s, "attack")) for s in range(4)])
    correlation = np.corrcoef(values.numpy())
    assert np.abs(correlation - np.eye(4)).max() < 0.06  # 4 standard errors of 1/sqrt(5000)
