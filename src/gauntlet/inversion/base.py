"""What an inversion attack is: a choice of parts."""

from __future__ import annotations

import math
from typing import Any

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.registry import create
from gauntlet.inversion import distances, labels, starts
from gauntlet.inversion.layer_weights import Weighting
from gauntlet.inversion.matching import Frozen, Matching
from gauntlet.inversion.priors import PRIORS
from gauntlet.inversion.searches import Adam, Search


class Inversion:
    """Base of all methods, which hand their parts to this constructor.

    A method's options are annotated keyword parameters of its own constructor; they become the keys of a
    study's ``options``.

    Args:
        source: where the labels come from: a name of ``labels.LABELS``, or ``soft`` to search them too.
        matching: the idea of local training; ``Frozen`` when None.
        distance: ``cosine`` or ``l2``.
        weighting: of the layers in that distance; all equal when None.
        priors: name -> weight in the cost; those of weight 0 are not computed.
        start: a name of ``starts.STARTS``.
        search: how the cost is lowered; ``Adam`` when None.
        rate: its learning rate for the images (and for soft labels), in pixel units.
        signed: it sees only the signs of the images' gradients.
        boxed: images are cut to [0, 1] after every step.

    Raises:
        GauntletError: a part that does not exist, or a number out of range.
    """

    def __init__(
        self,
        *,
        source: str,
        matching: Matching | None = None,
        distance: str = "cosine",
        weighting: Weighting | None = None,
        priors: dict[str, float] | None = None,
        start: str = "normal",
        search: Search | None = None,
        rate: float = 0.1,
        signed: bool = False,
        boxed: bool = True,
    ):
        priors = priors or {}
        for name, weight in priors.items():
            if name not in PRIORS:
                raise GauntletError(f"unknown prior {name!r}", remedy=did_you_mean(name, PRIORS))
            if not 0 <= weight < math.inf:
                raise GauntletError(f"the prior {name!r} has weight {weight}; it must not be negative")
        if not 0 < rate < math.inf:
            raise GauntletError(f"an inversion has the rate {rate}; it must be above 0", key="rate")
        self.source, self.start = labels.known(source), starts.start(start)
        self.matching, self.distance = matching or Frozen(), distances.distance(distance)
        self.weighting, self.search = weighting or Weighting(), search or Adam()
        self.priors = {name: weight for name, weight in priors.items() if weight}
        self.rate, self.signed, self.boxed = rate, signed, boxed


def make(name: str, options: dict[str, Any] | None = None) -> Inversion:
    """The registered method called ``name``.

    Raises:
        GauntletError: there is no such method, or it does not take these options.
    """
    return create("inversion", name, options or {}, key="options")
