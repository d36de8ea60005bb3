"""Distances between images against scikit-image, LPIPS' own package, and brute force."""

import hashlib
import itertools
import math

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from gauntlet.core.errors import GauntletError
from gauntlet.metrics import lpips as perceptual
from gauntlet.metrics.images import matching, mse, psnr, ssim
from gauntlet.metrics.lpips import lpips


def batch(n=4, channels=1, size=28, seed=0, noise=0.1):
    """Smooth images in [0, 1], and noisy copies of them."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(n, channels, 5, 5, generator=generator)
    clean = torch.nn.functional.interpolate(small, (size, size + 3), mode="bilinear").clamp(0, 1)
    return clean, (clean + noise * torch.randn(clean.shape, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [11, 16, 32])
@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_all_three_are_those_of_scikit_image(channels, size, noise):
    one, other = batch(channels=channels, size=size, noise=noise)
    found = [score(one, other) for score in (mse, psnr, ssim)]
    for index in range(len(one)):
        a, b = one[index].double().numpy(), other[index].double().numpy()
        expected = (
            mean_squared_error(a, b),
            peak_signal_noise_ratio(a, b, data_range=1),
            structural_similarity(
                a,
                b,
                data_range=1,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            ),
        )
        assert [float(score[index]) for score in found] == pytest.approx(expected, rel=1e-9)
    assert found[2].max() < 0.999


@pytest.mark.parametrize(("size", "side"), [(8, 7), (7, 7), (3, 3), (2, 1), (1, 1), (10, 9), (12, 11)])
def test_ssim_of_small_images_has_the_largest_odd_window(size, side):
    """Window by window, by the definition."""
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, size, size + 1, generator=generator, dtype=torch.float64).numpy()
    x = np.arange(side) - side // 2
    weights = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for top, left in itertools.product(range(size - side + 1), range(size + 1 - side + 1)):
        p, q = (image[top : top + side, left : left + side] for image in (a, b))
        mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
        var_p, var_q = (weights * (p - mean_p) ** 2).sum(), (weights * (q - mean_q) ** 2).sum()
        covariance = (weights * (p - mean_p) * (q - mean_q)).sum()
        values.append(
            (2 * mean_p * mean_q + 1e-4)
            * (2 * covariance + 9e-4)
            / ((mean_p**2 + mean_q**2 + 1e-4) * (var_p + var_q + 9e-4))
        )
    found = ssim(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None])
    assert found.item() == pytest.approx(np.mean(values), abs=1e-9)


def test_the_peak_is_1():
    """A constant error of 0.1 is 20 dB; with a peak of 255 it would be 68."""
    one = torch.full((2, 1, 8, 8), 0.5)
    assert psnr(one, one + 0.1).tolist() == pytest.approx([20, 20], abs=1e-5)
    assert psnr(one, one).tolist() == [math.inf, math.inf]
    assert ssim(one, one).tolist() == pytest.approx([1, 1])
    assert mse(one, one + 0.1).tolist() == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize("seed", range(5))
def test_the_matching_is_the_best_of_all_permutations(seed):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.rand(2, 5, 1, 2, 2, generator=generator)
    best = min(itertools.permutations(range(5)), key=lambda order: mse(one, other[list(order)]).sum())
    assert matching(one, other).tolist() == list(best)


def test_a_shuffled_batch_is_put_in_order():
    one, other = batch(n=8, noise=0.05)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(2))
    assert torch.equal(order[matching(one, other[order])], torch.arange(8))


@pytest.mark.parametrize("score", [mse, psnr, ssim, matching, lpips])
def test_what_is_no_pair_of_batches_is_refused(score):
    good = torch.rand(2, 1, 8, 8)
    for one, other in ((good, good[:1]), (good, good.repeat(1, 3, 1, 1)), (good[0], good[0])):
        with pytest.raises(GauntletError):
            score(one, other)
    with pytest.raises(GauntletError, match="reconstructions are not finite"):
        score(good, good * float("nan"))
    with pytest.raises(GauntletError, match="originals must have the shape"):
        score(good[:0], good[:0])


@pytest.fixture(scope="module")
def reference():
    """LPIPS' own package on an untrained AlexNet, with its trained weights on the layers."""
    import lpips as package

    torch.manual_seed(0)
    return package.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()


def states(reference):
    """What the two published files hold."""
    slices = [getattr(reference.net, f"slice{index}") for index in range(1, 6)]
    layers = {name: layer for part in slices for name, layer in part.named_children()}
    backbone = {
        f"features.{name}.{key}": value
        for name, layer in layers.items()
        for key, value in layer.state_dict().items()
    }
    linear = {f"lin{i}.model.1.weight": lin.model[1].weight.data for i, lin in enumerate(reference.lins)}
    return backbone, linear


@pytest.fixture
def files(reference, tmp_path, monkeypatch):
    digests = {}
    for name, state in zip(perceptual.FILES, states(reference), strict=True):
        torch.save(state, tmp_path / name)
        digests[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    monkeypatch.setattr(perceptual, "FILES", digests)
    perceptual._weights.cache_clear()
    return tmp_path


@pytest.mark.parametrize(("channels", "size"), [(3, 31), (3, 64), (1, 32)])
def test_lpips_is_that_of_its_package(reference, files, channels, size):
    one, other = batch(channels=channels, size=size, noise=0.3)
    with torch.no_grad():
        expected = reference(*(image.expand(-1, 3, -1, -1) for image in (one, other)), normalize=True)
    found = lpips(one, other, files)
    assert found.tolist() == pytest.approx(expected.flatten().tolist(), rel=1e-4)
    assert lpips(one, one, files).tolist() == [0] * 4


def test_the_weights_that_come_with_the_package_are_the_published_ones():
    import lpips as package

    path = package.__path__[0] + "/weights/v0.1/alex.pth"
    with open(path, "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == perceptual.FILES["alex.pth"]


def test_without_weights_or_with_small_images_lpips_says_so(files):
    with pytest.raises(GauntletError, match="at least 31 pixels, not 30"):
        lpips(*batch(size=30), files)
    (files / "alex.pth").unlink()
    with pytest.raises(GauntletError, match="needs its weights") as caught:
        lpips(*batch(size=64), files)
    assert caught.value.file == files / "alex.pth"


def test_damaged_weights_are_refused(files):
    with open(files / "alex.pth", "ab") as file:
        file.write(b"x")
    with pytest.raises(GauntletError, match="damaged"):
        lpips(*batch(size=64), files)
