"""The one call of all inversion attacks: many targets and restarts, packed into few programs."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.descent import Descent
from gauntlet.inversion.epoch_sets import merged
from gauntlet.inversion.labels import SOFT, Clue, infer
from gauntlet.inversion.observation import Observation, alike, check
from gauntlet.inversion.problem import Problem

#: Most copies of a network in one program, and on a CPU most pixels of all their images: with more, an
#: iteration takes longer in proportion.
COPIES, PIXELS = 16, 2**15


@dataclass(frozen=True)
class Reconstruction:
    """What was found, for T targets of n images with R restarts each.

    Attributes:
        images: (T, n, C, H, W) in [0, 1], of the restart with the least cost, in the order of ``labels``.
        labels: (T, n) int64: given, inferred, or the most likely class of each soft label.
        cost: (T, R) least cost of every restart, priors included; infinite where it never was a number.
        restart: (T,) the kept one.
        history: (reports, T, R) costs at the iterations ``reported``.
        learned: what else was searched, (T, ...), of the kept restart: ``alpha`` of sme, one per round.
        seconds: median wall time of an iteration of everything; 0 without iterations.
    """

    images: Tensor
    labels: Tensor
    cost: Tensor
    restart: Tensor
    history: Tensor
    reported: list[int]
    learned: dict[str, Tensor]
    seconds: float


def invert(
    net: nn.Module,
    observations: list[list[Observation]],
    image_shape: tuple[int, int, int],
    method: Inversion,
    *,
    iterations: int,
    generators: list[list[torch.Generator]],
    report: int = 0,
    copies: int | None = None,
) -> Reconstruction:
    """Reconstruct the images behind updates.

    Args:
        net: the architecture, in eval mode and on the device to run on; its weights are not used.
        observations: per target, its rounds: several observations of the same images.
        image_shape: (C, H, W); the network takes images in [0, 1].
        method: ``base.make("agic", options)``.
        iterations: gradients of the cost per restart; the cost of the last images comes on top.
        generators: per target and restart, a CPU generator (``core.seeds.torch_generator``) of its own, so
            that no draw depends on what is packed together.
        report: iterations from one line on stderr, and one entry of the history, to the next; 0 for none.
        copies: most targets and restarts in one program, or None to choose: a matter of time and memory;
            results change by rounding alone.

    Returns: on the device of ``net``.

    Raises:
        GauntletError: observations of another network, that do not fit together, or lack what the method
            needs; a cost that is never finite.
    """
    classes = _classes(net, image_shape)
    for rounds in observations:
        for one in rounds:
            check(net, one, classes)
    alike(observations)
    targets, restarts = len(observations), _restarts(generators, len(observations))
    if copies is None:
        copies = _copies(observations[0][0].images, image_shape, next(net.parameters()).is_cuda)
    if iterations < 0 or report < 0 or copies < 1:
        raise GauntletError(f"bad counts: iterations {iterations}, report {report}, copies {copies}")
    labels = None
    if method.source != SOFT:
        clues = (Clue(net, rounds, image_shape, classes) for rounds in observations)
        labels = torch.stack([infer(method.source, clue) for clue in clues])

    pairs = [(target, restart) for target in range(targets) for restart in range(restarts)]
    descents = []
    for at in range(0, len(pairs), copies):
        some = pairs[at : at + copies]
        descent = Descent(
            Problem(net, [observations[target] for target, _ in some], classes),
            method,
            image_shape,
            None if labels is None else labels[[target for target, _ in some]],
            [generators[target][restart] for target, restart in some],
        )
        descent.run(iterations, report, f"copies {at + 1} to {at + len(some)} of {len(pairs)}")
        descents.append(descent)
    return _best(descents, labels, targets, restarts)


def _best(descents: list[Descent], labels: Tensor | None, targets: int, restarts: int) -> Reconstruction:
    """The restart of least cost of every target; of equals the first.

    Raises:
        GauntletError: a target without any finite cost.
    """
    cost = torch.cat([descent.cost for descent in descents]).view(targets, restarts)
    lost = (~cost.isfinite().any(1)).nonzero().flatten().tolist()
    if lost:
        raise GauntletError(
            f"the cost of target {lost[0]} was never finite",
            remedy="the observed weights or update may be too large for the network's precision",
        )
    kept = cost.argmin(1)
    rows = torch.arange(targets, device=kept.device) * restarts + kept
    best = {name: torch.cat([descent.best[name] for descent in descents])[rows] for name in descents[0].best}
    images, soft = best.pop("images"), best.pop("labels", None)
    reports = [torch.cat(costs) for costs in zip(*(descent.history for descent in descents), strict=True)]
    history = torch.cat([cost.new_empty(0), *reports]).view(-1, targets, restarts)
    seconds = [sum(spent) for spent in zip(*(descent.seconds for descent in descents), strict=True)]
    return Reconstruction(
        images=merged(images).clamp(0, 1),
        labels=labels.to(images.device) if soft is None else soft.argmax(-1),
        cost=cost,
        restart=kept,
        history=history,
        reported=descents[0].reported,
        learned=best,
        seconds=statistics.median(seconds or [0.0]),
    )


def _copies(images: int, image_shape: tuple[int, int, int], cuda: bool) -> int:
    """How many copies go into one program when each has so many images."""
    _, height, width = image_shape
    return COPIES if cuda else min(COPIES, max(1, PIXELS // (images * height * width)))


def _classes(net: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """How many logits the network gives for such an image.

    Raises:
        GauntletError: it is in training mode, or does not take such images.
    """
    if net.training:
        raise GauntletError(
            "inversion needs a network in eval mode", remedy="call net.eval(); clients train in it too"
        )
    like = next(net.parameters())
    try:
        with torch.no_grad():
            return net(torch.zeros(1, *image_shape, device=like.device, dtype=like.dtype)).shape[1]
    except RuntimeError as error:
        raise GauntletError(f"the network takes no images of shape {tuple(image_shape)}: {error}") from error


def _restarts(generators: list[list[torch.Generator]], targets: int) -> int:
    """How many restarts there are generators for; the same number for each of the ``targets``."""
    counts = {len(row) for row in generators}
    if len(generators) != targets or len(counts) != 1 or 0 in counts:
        raise GauntletError(
            f"there are {targets} targets, and generators for {[len(row) for row in generators]} restarts",
            remedy="hand in one list per target, all of the same length",
        )
    return counts.pop()
