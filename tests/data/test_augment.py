import torch

from gauntlet.data.augment import augment, crop


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=200):
    return torch.rand(n, 2, 5, 6, generator=rng(1)) + 0.1


def test_a_crop_is_a_window_of_the_padded_image():
    x = images(3)
    places = torch.tensor([[4, 0, 8], [4, 2, 8]])
    found = crop(x, places)
    assert torch.equal(found[0], x[0])
    padded = torch.zeros(3, 2, 13, 14)
    padded[:, :, 4:9, 4:10] = x
    assert torch.equal(found[1], padded[1, :, 0:5, 2:8])
    assert torch.equal(found[2], padded[2, :, 8:13, 8:14])


def test_every_place_is_drawn():
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1
    found = augment(x.expand(4000, 1, 9, 9), ["crop"], rng())
    assert (found.sum(0) > 0).all()
    assert found.sum() == 4000


def test_half_of_the_images_are_flipped():
    x = images()
    found = augment(x, ["flip"], rng())
    same, other = ((found == y).flatten(1).all(1) for y in (x, x.flip(3)))
    assert (same | other).all()
    assert 70 < other.sum() < 130


def test_nothing_is_drawn_for_nothing():
    x, generator = images(), rng()
    assert augment(x, [], generator) is x
    assert torch.equal(generator.get_state(), rng().get_state())
