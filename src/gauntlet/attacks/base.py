"""What a test-time attack on embeddings is: the objective that a search climbs, and what it is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.clean import Clean
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import module_path, resolve


@dataclass(frozen=True)
class Goal:
    """The measure that an attack is made for, in place of recall@1 (joint attacks: NMI and F1).

    Attributes:
        metric: one of the attack's ``measures``.
        broken: its value where the attack has all it wants.
        intact: its value where the defender has.
    """

    metric: str
    broken: float
    intact: float

    def score(self, value: float) -> float:
        """The measure, which is between its ends, as a score: 0 broken, 1 intact."""
        return abs(value - self.broken) / abs(self.intact - self.broken)


class Attack:
    """Base of all attacks on embeddings.

    Args:
        clean: the clean embeddings of the test set, and what its images are searched in.
        generator: CPU generator; given to attacks with ``drawn`` targets only.

    Attributes:
        joint: ``objective`` gets all perturbed images at once and returns one scalar; otherwise it returns
            one score per image, each from its own image alone.
        drawn: the constructor draws targets at random and takes ``generator``.
        spared: (n,) bool, images that the attack leaves clean; None attacks all.
        goal: the measure that the sanity suite looks at; None for recall@1 (joint attacks: NMI and F1).
    """

    joint: bool = False
    drawn: bool = False
    spared: Tensor | None = None
    goal: Goal | None = None

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """What to maximise: (b,) scores, or a scalar of a joint attack, from perturbed ``embeddings``
        (b, D) of ``rows`` (b,)."""
        raise NotImplementedError

    def measures(self, embeddings: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """{metric: (b,) values} that the attack is judged by besides retrieval and clustering."""
        return {}


def make(name: str, clean: Clean, generator: torch.Generator) -> Attack:
    """The registered attack called ``name``; ``generator`` draws its targets, if it has any to draw.

    Raises GauntletError when there is no such attack, or its class does not inherit from ``Attack``.
    """
    method = resolve("attack", name)
    if not (isinstance(method, type) and issubclass(method, Attack)):
        raise GauntletError(
            f"attack {name!r} is not an Attack",
            file=module_path("attack", name),
            remedy="let its class inherit from gauntlet.attacks.base.Attack",
        )
    return method(clean, generator=generator) if method.drawn else method(clean)
