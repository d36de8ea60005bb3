"""What a ``shadows`` cell is determined by. Imports no torch: the workflow reads this while parsing.

No study lists such a cell: those of family ``privacy`` need it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gauntlet.core.config import Strict
from gauntlet.core.errors import GauntletError
from gauntlet.families.federated.settings import Data, NonNegative, Positive, PositiveFloat

__all__ = ["Data", "Evaluate", "Method", "Train"]

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {"train": ("training",)}

#: The registered kind of this family's networks.
NETWORK = "classifier"


class Method(Strict):
    """Random halves of the candidates: there is nothing to choose."""

    options: dict[str, Any] = Field(default_factory=dict)


class Train(Strict):
    """The recipe of every shadow model, which should be as the target's."""

    models: Annotated[int, Field(ge=2, multiple_of=2)] = Field(
        description="an even number: a model and the next share the candidates between them"
    )
    epochs: Positive
    batch: Positive
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    weight_decay: NonNegative = 0.0


class Evaluate(Strict):
    """Nothing: they serve to attack others."""


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """Raises GauntletError: nothing is registered for shadow models, and no study lists them."""
    raise GauntletError(
        "no study is about shadow models alone",
        key="family",
        remedy="take family privacy, whose attacks need them, and give train.shadows",
    )


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    return ("partition", identity["data"]["partition"]), ("classifier", identity["architecture"])


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return ()


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """No cell reads another's weights."""
    return {}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a cell's folder name."""
    return "halves"
