"""What images are like, whatever was observed: one number per copy, lower is more natural.

All take (copies, sets, n, C, H, W) images; there is one set unless epochs have images of their own.
"""

from __future__ import annotations

from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """(copies,): ``mean |dx| + mean |dy|`` over neighbouring pixels, anisotropic (Rudin et al. 1992;
    in the form of Geiping et al. 2020)."""
    across = (images[..., 1:] - images[..., :-1]).abs().flatten(1).mean(1)
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().flatten(1).mean(1)
    return across + down


def l2(images: Tensor) -> Tensor:
    """(copies,): mean square of the pixels (Yin et al. 2021)."""
    return images.square().flatten(1).mean(1)


def epoch_order(images: Tensor) -> Tensor:
    """(copies,): how much the sets of different epochs differ, in whatever order they hold their images.

    ``mean over pairs (a, b) of epochs of mean_pixels (m_a - m_b)^2`` with m the mean image of a set (Dimitrov
    et al. 2022, with the mean as the order-invariant function): twice the variance of m.
    """
    means = images.mean(2)
    return 2 * (means - means.mean(1, keepdim=True)).square().flatten(1).mean(1)


PRIORS = {"total_variation": total_variation, "l2": l2, "epoch_order": epoch_order}
