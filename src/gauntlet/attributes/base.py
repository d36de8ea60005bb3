"""What an attack on an attribute sees, what it is, and what counts as a leak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gauntlet.core.errors import GauntletError


@dataclass(frozen=True)
class Rows:
    """n examples (or n batches, or n updates) as an adversary knows them; None is: not known.

    Attributes:
        labels: (n,) int64 classes.
        public: (n, p) other public features; of a batch, such as how many images of each class it has.
        features: (n, D) what leaked: features of a released model or data, or updates.
    """

    labels: np.ndarray | None = None
    public: np.ndarray | None = None
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Evidence:
    """What an adversary has.

    Attributes:
        targets: the rows whose attribute is sought.
        auxiliary: rows of the adversary's own.
        attributes: (m,) int64, the attribute 0..A-1 of the auxiliary rows.
        answers: (A, n, K) logits of the target model on the target rows with the attribute set to each value.
        seed: of classifiers that draw.
    """

    targets: Rows
    auxiliary: Rows | None = None
    attributes: np.ndarray | None = None
    answers: np.ndarray | None = None
    seed: int = 0


class AttributeInference:
    """Base of all attacks on an attribute.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a study's ``options``.
    """

    #: Fields of ``Evidence`` that the attack reads.
    needs: tuple[str, ...] = ("auxiliary", "attributes")

    def scores(self, evidence: Evidence) -> np.ndarray:
        """(n, A) float64: per target and value of the attribute, the higher, the more likely.

        Raises:
            GauntletError: something that the attack needs is not there, or is not finite.
        """
        for name in self.needs:
            if getattr(evidence, name) is None:
                raise GauntletError(f"the attack needs {name}", key="evaluate.attacks", remedy="leave it out")
        if evidence.attributes is not None and len(np.unique(evidence.attributes)) < 2:
            raise GauntletError(
                "the auxiliary rows have one value of the attribute", remedy="give all values"
            )
        values = np.asarray(self._scores(evidence), dtype=np.float64)
        if not np.isfinite(values).all():
            raise GauntletError(
                "scores of attributes are not finite",
                remedy="check the model's outputs for a training that diverged",
            )
        return values

    def _scores(self, evidence: Evidence) -> np.ndarray:
        """What an attack implements; what it ``needs`` is there."""
        raise NotImplementedError


def leak(scores: np.ndarray, imputed: np.ndarray, attributes: np.ndarray) -> dict[str, float]:
    """How much more an attack knows than anyone could guess.

    ``accuracy`` of its (n, A) scores, ``imputation``: that of the attack of this name, and ``advantage``, the
    difference, in [-1, 1]. At most 0 is: no leak.

    Raises:
        GauntletError: shapes that differ.
    """
    attributes = np.asarray(attributes)
    if scores.shape != imputed.shape or attributes.shape != scores.shape[:1]:
        raise GauntletError(
            f"scores {scores.shape}, imputed {imputed.shape} and attributes {attributes.shape} do not fit"
        )
    own, base = ((values.argmax(axis=1) == attributes).mean() for values in (scores, imputed))
    return {"accuracy": float(own), "imputation": float(base), "advantage": float(own - base)}
