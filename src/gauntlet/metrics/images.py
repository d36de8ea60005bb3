"""How close reconstructed images are to the originals. Pixels are in [0, 1]: PSNR's peak is 1, not 255."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.errors import GauntletError

#: Side and deviation of SSIM's Gaussian window, in pixels (Wang et al. 2004, doi 10.1109/TIP.2003.819861).
WINDOW, SIGMA = 11, 1.5


def images(values, name: str = "images") -> Tensor:
    """A tensor (n, C, H, W) as float64 on the CPU.

    Raises:
        GauntletError: another shape, none, or pixels that are not finite.
    """
    values = torch.as_tensor(values).detach().cpu().double()
    if values.dim() != 4 or not values.numel():
        raise GauntletError(
            f"{name} must have the shape (n, C, H, W), not {tuple(values.shape)}",
            remedy="give a batch of images",
        )
    if not bool(values.isfinite().all()):
        raise GauntletError(f"{name} are not finite", remedy="the reconstruction diverged")
    return values


def pairs(originals, reconstructions) -> tuple[Tensor, Tensor]:
    """Two batches as ``images``. Raises GauntletError where their shapes differ, or one is not a batch."""
    one, other = images(originals, "originals"), images(reconstructions, "reconstructions")
    if one.shape != other.shape:
        raise GauntletError(
            f"{tuple(one.shape)} originals and {tuple(other.shape)} reconstructions",
            remedy="give one reconstruction per original",
        )
    return one, other


def mse(originals, reconstructions) -> Tensor:
    """(n,) mean squared error per image."""
    one, other = pairs(originals, reconstructions)
    return (one - other).square().flatten(1).mean(1)


def psnr(originals, reconstructions) -> Tensor:
    """(n,) ``10 log10(1 / MSE)`` in dB; infinite for equal images."""
    return -10 * mse(originals, reconstructions).log10()


def ssim(originals, reconstructions) -> Tensor:
    """(n,) mean structural similarity, at most 1 (Wang et al. 2004, equation 13): a Gaussian window of 11x11
    pixels and deviation 1.5, wherever it fits into the image; the mean over places and channels.

    Images of fewer than 11 pixels have the largest odd window that fits: values of different sizes of window
    do not compare.
    """
    one, other = pairs(originals, reconstructions)
    n, _, height, width = one.shape
    window = _window(min(WINDOW, (min(height, width) - 1) // 2 * 2 + 1))

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values.reshape(-1, 1, height, width), window)

    a, b = mean(one), mean(other)
    var_a, var_b = mean(one.square()) - a.square(), mean(other.square()) - b.square()
    covariance = mean(one * other) - a * b
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * a * b + c1) * (2 * covariance + c2)
    similarity /= (a.square() + b.square() + c1) * (var_a + var_b + c2)
    return similarity.reshape(n, -1).mean(1)


def _window(side: int) -> Tensor:
    """(1, 1, side, side) Gaussian of sum 1."""
    x = torch.arange(side, dtype=torch.float64) - side // 2
    line = torch.exp(-x.square() / (2 * SIGMA**2))
    line /= line.sum()
    return torch.outer(line, line)[None, None]


def matching(originals, reconstructions) -> Tensor:
    """(n,) int64: which reconstruction belongs to each original, one each, so that the sum of their mean
    squared errors is least (the Hungarian method). An attack on a batch cannot know the order."""
    from scipy.optimize import linear_sum_assignment

    one, other = pairs(originals, reconstructions)
    cost = (one.flatten(1)[:, None] - other.flatten(1)[None]).square().mean(2)
    return torch.from_numpy(linear_sum_assignment(cost.numpy())[1])
