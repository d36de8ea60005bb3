"""Shadow models: many small models on random halves of a pool, trained as copies in one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.data.subset import Images
from gauntlet.models.copies import State, copies, state_of
from gauntlet.models.optimizers import make
from gauntlet.models.stacked import Stacked, stack

#: Most copies in one program: with more, what they compute no longer fits into the processor's cache.
COPIES = 8
#: Images per forward pass.
BATCH = 100


@dataclass(frozen=True)
class Recipe:
    """How a shadow model is trained on its cross-entropy: as the target was.

    Attributes:
        epochs: over its half.
        batch: images per step; the last of an epoch may be smaller.
        lr: learning rate, constant.
        optimizer, weight_decay, momentum: see ``models.optimizers``.
    """

    epochs: int
    batch: int
    lr: float
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0


def halves(pool: int, models: int, generator: np.random.Generator) -> np.ndarray:
    """(models, pool) bool: which examples each model trains on.

    A model and the next one share the pool, so that every example is in exactly half of the models (Carlini
    et al. 2022, arXiv 2112.03570) and every model has half of the pool, up to one example. The models that
    have an example are in different pairs: independent draws.

    Raises:
        GauntletError: an odd number of models.
    """
    if models < 2 or models % 2:
        raise GauntletError(f"{models} shadow models are no pairs", remedy="choose an even number")
    inside = np.zeros((models, pool), dtype=bool)
    for first in range(0, models, 2):
        inside[first, generator.permutation(pool)[: pool // 2]] = True
        inside[first + 1] = ~inside[first]
    return inside


def train(
    build: Callable[[], nn.Module],
    images: Images,
    inside: np.ndarray,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    together: int | None = None,
) -> list[State]:
    """One model per row of ``inside``.

    Args:
        build: () -> a new network, initialised from torch's global generator.
        images: the pool.
        inside: (m, n) bool, what each model trains on. Models with equally many images run in one program.
        generators: one CPU generator per model, for its first weights and its batches: a model is the same
            whatever others are trained, up to rounding (which training amplifies).
        together: most models in one program; 1 trains them one by one. None chooses: ``at_once``.

    Raises:
        GauntletError: a model without images, or a training that diverged.
    """
    nets = [_fresh(build, generator).to(images.pixels.device) for generator in generators]
    rows = [torch.from_numpy(np.flatnonzero(mask)) for mask in inside]
    if len(rows) != len(nets) or min(map(len, rows)) == 0:
        raise GauntletError(f"{len(nets)} generators and {len(rows)} sets of images, each of at least one")
    together = together or at_once(nets[0], images.pixels)
    found: dict[int, State] = {}
    for group in _groups([len(own) for own in rows], together):
        starts = [state_of(nets[i]) for i in group]
        states = _train(
            nets[0], starts, images, [rows[i] for i in group], recipe, [generators[i] for i in group]
        )
        found |= dict(zip(group, states, strict=True))
    return [found[i] for i in range(len(rows))]


@torch.no_grad()
def answers(
    net: nn.Module, states: Sequence[State], pixels: Tensor, together: int | None = None
) -> np.ndarray:
    """(m, n, K) float32 logits of every model on the same (n, C, H, W) images, in eval mode."""
    run, found, together = copies(net), [], together or at_once(net, pixels)
    for at in range(0, len(states), together):
        tensors = stack(list(states[at : at + together]))
        parts = [run(tensors, part, training=False) for part in pixels.split(BATCH)]
        found.append(torch.cat(parts, dim=1).float().cpu().numpy())
    return np.concatenate(found)


def at_once(net: nn.Module, pixels: Tensor) -> int:
    """How many models run in one program, where nobody says: 1 for what cannot be stacked, unless on a GPU.

    On a CPU, mapped copies of a ResNet-18 took 1.2 to 1.4 times as long as one by one.
    """
    return COPIES if pixels.is_cuda or isinstance(copies(net), Stacked) else 1


def _fresh(build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _groups(sizes: list[int], together: int) -> list[list[int]]:
    """Models with equally many images, at most ``together`` in a group."""
    groups = []
    for size in sorted(set(sizes)):
        same = [i for i, own in enumerate(sizes) if own == size]
        groups += [same[at : at + together] for at in range(0, len(same), together)]
    return groups


def _train(net, starts, images: Images, rows: list[Tensor], recipe: Recipe, generators) -> list[State]:
    """Some models with equally many images, in one program.

    The losses of copies are added, so that each gets its own gradient; the optimizer's update is elementwise.
    """
    run, tensors = copies(net), stack(starts)
    parameters = [tensors[name].requires_grad_() for name, _ in net.named_parameters()]
    optimizer = make(recipe.optimizer, [(parameters, recipe.lr)], recipe.weight_decay, recipe.momentum)
    for _ in range(recipe.epochs):
        orders = [
            own[torch.randperm(len(own), generator=generator)]
            for own, generator in zip(rows, generators, strict=True)
        ]
        for batch in torch.stack(orders).to(images.pixels.device).split(recipe.batch, dim=1):
            logits, labels = run(tensors, images.pixels[batch], training=True), images.labels[batch]
            losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
            loss = losses.view(labels.shape).mean(dim=1).sum()
            # Fused Adam reads a parameter and its gradient in order of memory, whatever their strides.
            optimizer.step([gradient.contiguous() for gradient in torch.autograd.grad(loss, parameters)])
    if not all(value.isfinite().all() for value in tensors.values()):
        raise GauntletError("the training of a shadow model diverged", remedy="lower its learning rate")
    return [{name: value.detach()[i].clone() for name, value in tensors.items()} for i in range(len(rows))]
