"""What a ``distilled`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gauntlet.core.config import Strict
from gauntlet.families.federated.settings import Data

__all__ = ["Data", "Evaluate", "Method", "Train"]

#: The tables (``core.tables``) that a step's job writes. There is no attack: one job does it all.
TABLES = {"train": ("training", "rounds", "clients", "exchange", "samples")}

#: The registered kind of this family's networks.
NETWORK = "classifier"

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, strict=False)]


class Method(Strict):
    """What clients make of their images, and share."""

    distillation: str = Field(description="a file in src/gauntlet/distillation/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the distillation")


class Train(Strict):
    """What all methods share. Every party trains the same model on what all clients shared."""

    rounds: Positive
    restart: bool = Field(
        False, description="training in a round starts at the first model, not at that of the round before"
    )
    steps: Positive = Field(
        100, description="gradient steps on the shared set per round, where no step sizes are learned"
    )
    lr: PositiveFloat = Field(0.05, description="their step size")


class Evaluate(Strict):
    """Nothing: every round is measured while training."""


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` belong to."""
    return "distillation", method["distillation"]


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    return (
        ("partition", identity["data"]["partition"]),
        method_kind(identity["method"]),
        ("classifier", identity["architecture"]),
    )


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return ()


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """No cell reads another's weights."""
    return {}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a trial's folder name."""
    return method["distillation"]
