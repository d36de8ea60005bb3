"""What an honest-but-curious server sees of one client in one round."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from gauntlet.core.errors import GauntletError


@dataclass(frozen=True)
class Observation:
    """One update and what the server knows about how it came to be: plain SGD, no momentum.

    Attributes:
        weights: what the server sent: parameters and running statistics by name.
        update: ``before - after`` of every parameter, of its shape; a gradient is an update with lr 1.
        images: n, how many images the client has.
        batch: images per local step; the last step of an epoch may have fewer.
        epochs: passes over the images.
        lr: learning rate of the local steps; None where the server does not know it.
        labels: (n,) int64 classes, or None where unknown. The simulation feeds images in this order: in the
            client's own order it is an oracle, in any other one a guess.

    Raises:
        GauntletError: numbers out of range, update and weights that do not fit together or are not finite, or
            an update that is zero throughout.
    """

    weights: dict[str, Tensor]
    update: dict[str, Tensor]
    images: int
    batch: int
    epochs: int = 1
    lr: float | None = None
    labels: Tensor | None = None

    def __post_init__(self):
        for name in ("images", "batch", "epochs"):
            if getattr(self, name) < 1:
                raise GauntletError(f"an observation has {name} {getattr(self, name)}; at least 1 is needed")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise GauntletError(f"an observation has learning rate {self.lr}; it is above 0, or None")
        if self.labels is not None and self.labels.shape != (self.images,):
            raise GauntletError(
                f"an observation of {self.images} images has labels of shape {tuple(self.labels.shape)}"
            )
        for name, value in self.weights.items():
            if not value.isfinite().all():
                raise GauntletError(f"the weights {name!r} are not finite")
        for name, value in self.update.items():
            _same_shape(f"the update of {name!r}", value, self.weights.get(name))
            if not value.isfinite().all():
                raise GauntletError(
                    f"the update of {name!r} is not finite",
                    remedy="the client's training diverged; leave it out, or lower its learning rate",
                )
        if not any(bool(value.any()) for value in self.update.values()):
            raise GauntletError("the update is zero throughout: there is nothing to invert")

    @property
    def steps(self) -> int:
        """Local steps, U."""
        return self.epochs * -(-self.images // self.batch)


def check(net: nn.Module, observation: Observation, classes: int) -> None:
    """Refuse an observation of another network.

    Raises:
        GauntletError: names or shapes are not those of ``net``, or a label is not in [0, ``classes``).
    """
    parameters = dict(net.named_parameters())
    state = parameters | {name: value for name, value in net.named_buffers() if value.is_floating_point()}
    for what, own, seen in (
        ("weights", state, observation.weights),
        ("update", parameters, observation.update),
    ):
        if odd := sorted(set(own) ^ set(seen)):
            side = "lacks" if odd[0] in own else "has"
            raise GauntletError(f"the {what} of an observation {side} {odd[0]!r}, unlike the network")
        for name, value in own.items():
            _same_shape(f"{what} {name!r}", seen[name], value)
    labels = observation.labels
    if labels is not None and not bool(((labels >= 0) & (labels < classes)).all()):
        raise GauntletError(f"labels of an observation are not in 0..{classes - 1}: {labels.tolist()}")


def _same_shape(what: str, value: Tensor, like: Tensor | None) -> None:
    expected = None if like is None else tuple(like.shape)
    if tuple(value.shape) != expected:
        raise GauntletError(f"{what} has shape {tuple(value.shape)}; the network has {expected}")


def alike(observations: list[list[Observation]]) -> Observation:
    """The first observation, once it is sure that all have its images, batch and epochs, and every target
    as many rounds.

    Raises:
        GauntletError: there is none, or they differ: they cannot run in one program.
    """
    if not observations or not all(observations):
        raise GauntletError("there is no observation to invert")
    if len({len(rounds) for rounds in observations}) > 1:
        raise GauntletError(
            "targets were observed in different numbers of rounds", remedy="invert them one call each"
        )
    first = observations[0][0]
    for name in ("images", "batch", "epochs"):
        found = {getattr(one, name) for rounds in observations for one in rounds}
        if len(found) > 1:
            raise GauntletError(
                f"observations differ in {name}: {', '.join(map(str, sorted(found)))}",
                remedy="invert them one call each",
            )
    return first
