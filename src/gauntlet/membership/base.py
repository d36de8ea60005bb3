"""What an attack on membership sees, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.models.copies import State


@dataclass(frozen=True)
class Shadows:
    """Models that the adversary trained like the target, on known examples.

    Attributes:
        logits: (m, n, K) of m models on the candidates; (m, q, n, K) with several queries.
        inside: (m, n) bool, whether candidate j was trained on by model i.
        states: the models themselves, for attacks that need gradients.
    """

    logits: np.ndarray
    inside: np.ndarray
    states: Sequence[State] | None = None


@dataclass(frozen=True)
class Population:
    """Examples of the same distribution that neither the target nor a shadow model has trained on.

    Attributes:
        labels: (z,) int64.
        logits: (z, K) of the target.
        shadow_logits: (m, z, K) of the shadow models.
    """

    labels: np.ndarray
    logits: np.ndarray
    shadow_logits: np.ndarray


@dataclass(frozen=True)
class Observed:
    """One client's update of the global model, as a server sees it.

    Attributes:
        start: the model that the client was sent.
        change: what came back less ``start``, by name; floating-point entries alone are read.
    """

    start: State
    change: State


@dataclass(frozen=True)
class Evidence:
    """Everything that some attack may see about n candidates; what an adversary lacks is None.

    Attributes:
        labels: (n,) int64, the candidates' classes.
        logits: (n, K) of the target; or (q, n, K) for q queries per candidate (the image itself first, then
            changed versions of it).
        shadows: models of the adversary.
        population: examples beside the candidates.
        history: (T, n, K) logits of the models that were released over time, the last one last.
        images: (n, C, H, W) the candidates in [0, 1].
        released, released_labels: (r, C, H, W) synthetic images that were shared, and their (r,) classes.
        net: the target itself (white box); or, with ``updates``, its architecture.
        updates: what the server saw of the client whose members are sought.
    """

    labels: np.ndarray
    logits: np.ndarray | None = None
    shadows: Shadows | None = None
    population: Population | None = None
    history: np.ndarray | None = None
    images: Tensor | None = None
    released: Tensor | None = None
    released_labels: np.ndarray | None = None
    net: nn.Module | None = None
    updates: Sequence[Observed] | None = None

    @property
    def queries(self) -> np.ndarray:
        """(q, n, K) logits of the target; q is 1 where candidates were asked about once."""
        return self.logits if self.logits.ndim == 3 else self.logits[None]

    @property
    def plain(self) -> np.ndarray:
        """(n, K) logits of the target on the unchanged candidates."""
        return self.queries[0]

    @property
    def shadow_queries(self) -> np.ndarray:
        """(m, q, n, K) logits of the shadow models."""
        found = self.shadows.logits
        return found if found.ndim == 4 else found[:, None]

    @property
    def shadow_plain(self) -> np.ndarray:
        """(m, n, K) logits of the shadow models on the unchanged candidates."""
        return self.shadow_queries[:, 0]

    def on_shadow(self, index: int) -> tuple[Evidence, np.ndarray]:
        """What the adversary would see if shadow model ``index`` were the target and the others the shadows,
        and the truth (n,) bool: for choosing a threshold without the target's members.

        Answers alone; what was seen of the target in other ways is left out.
        """
        others = np.arange(len(self.shadows.inside)) != index
        population = self.population and replace(
            self.population,
            logits=self.population.shadow_logits[index],
            shadow_logits=self.population.shadow_logits[others],
        )
        evidence = Evidence(
            labels=self.labels,
            logits=self.shadows.logits[index],
            shadows=Shadows(self.shadows.logits[others], self.shadows.inside[others]),
            population=population,
        )
        return evidence, self.shadows.inside[index]


class Membership:
    """Base of all attacks on membership.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a study's ``options``.
    """

    #: Fields of ``Evidence`` that the attack reads.
    needs: tuple[str, ...] = ("logits",)

    def scores(self, evidence: Evidence) -> np.ndarray:
        """(n,) float64, finite: the higher, the more likely a candidate is a member.

        Raises:
            GauntletError: something that the attack needs is not there, or shapes that do not fit.
        """
        for name in self.needs:
            if getattr(evidence, name) is None:
                raise GauntletError(
                    f"the attack needs {name.replace('_', ' ')}",
                    key="evaluate.attacks",
                    remedy="leave it out, or let the adversary see them",
                )
        _check(evidence)
        values = np.asarray(self._scores(evidence), dtype=np.float64)
        if values.shape != evidence.labels.shape or not np.isfinite(values).all():
            raise GauntletError(
                "membership values are not finite or not one per candidate",
                remedy="check the model's outputs for a training that diverged",
            )
        return values

    def _scores(self, evidence: Evidence) -> np.ndarray:
        """What an attack implements; what it ``needs`` is there."""
        raise NotImplementedError


def _check(evidence: Evidence) -> None:
    n = len(evidence.labels)
    if evidence.logits is not None and (
        evidence.logits.ndim not in (2, 3) or evidence.plain.shape[0] != n or evidence.plain.shape[1] < 2
    ):
        raise _misfit("logits", evidence.logits.shape, f"({n}, K) or (q, {n}, K), with at least two classes")
    shadows = evidence.shadows
    if shadows is None:
        return
    m = len(shadows.logits)
    if evidence.logits is not None and evidence.shadow_queries.shape != (m, *evidence.queries.shape):
        raise _misfit("shadows' logits", shadows.logits.shape, f"(m, {evidence.logits.shape})")
    if shadows.inside.shape != (m, n) or shadows.inside.dtype != bool:
        raise _misfit("shadows' inside", shadows.inside.shape, f"({m}, {n}) bool")
    population = evidence.population
    if population is not None and len(population.shadow_logits) != m:
        raise _misfit("population's shadow logits", population.shadow_logits.shape, f"({m}, z, K)")


def _misfit(what: str, found: tuple, wanted: str) -> GauntletError:
    return GauntletError(f"{what} have the shape {found}", remedy=f"give {wanted}")
