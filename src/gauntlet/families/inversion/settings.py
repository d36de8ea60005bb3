"""What an ``inversion`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gauntlet.core.config import Strict
from gauntlet.families.federated import settings as federated

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {
    "train": ("training", "rounds", "exchange"),
    "attack": ("scores", "reconstructions", "pictures"),
}

#: The registered kind of this family's networks.
NETWORK = "classifier"

Positive = Annotated[int, Field(gt=0)]

#: The federation: clients and their images; who takes part, and what they do about attackers.
Data, Method = federated.Data, federated.Method


class Train(federated.Train):
    """The federation's recipe, and when the server looks. All clients take part in every round,
    unless only one is observed: then those that do are the targets."""

    observe: list[Positive] = Field([1], min_length=1, description="rounds whose updates are kept")

    @model_validator(mode="after")
    def _updates_are_sums_of_gradients(self) -> Train:
        if self.momentum or self.weight_decay:
            raise ValueError("attacks on updates know plain SGD: momentum and weight_decay must be 0")
        if not self.learn:
            raise ValueError("there is no update to attack without learning: learn must be true")
        if sorted(set(self.observe)) != self.observe or self.observe[-1] > self.rounds:
            raise ValueError(f"observe must name ascending rounds of 1 to {self.rounds}")
        return self


class Attack(Strict):
    """One attack on the captured updates. What is left out is as for all attacks of the evaluation."""

    inversion: str = Field(description="a file in src/gauntlet/inversion/methods/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the attack")
    iterations: Positive | None = None
    restarts: Positive | None = None
    rounds: Positive = Field(1, description="observed rounds that it uses, the first ones")
    order: Literal["sorted", "own"] = Field(
        "sorted",
        description="of the images, that a simulation assumes: by class, or the client's (an oracle)",
    )
    labels: bool = Field(True, description="whether the classes of the images are known")


class Evaluate(Strict):
    """The attacks, each on every client's update."""

    targets: Positive | None = Field(None, description="clients that are attacked; all when absent")
    iterations: Positive
    restarts: Positive = 1
    attacks: dict[str, Attack] = Field(description="attacks by the name that figures and tables know them by")
    lpips: bool = Field(False, description="also measure LPIPS, whose weights must be at hand")
    shown: Annotated[int, Field(ge=0)] = Field(1, description="targets whose images are kept as pictures")

    @model_validator(mode="after")
    def _names_are_free(self) -> Evaluate:
        if "original" in self.attacks:
            raise ValueError("an attack cannot be called 'original'")
        return self


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` belong to."""
    return federated.method_kind(method)


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    return federated.train_methods(identity)


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that an attack job uses."""
    attacks = sorted({("inversion", entry["inversion"]) for entry in evaluate["attacks"].values()})
    return (("classifier", identity["architecture"]), *attacks)


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """No cell reads another's weights."""
    return {}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a cell's folder name: the defenses."""
    return "_".join(entry["update_defense"] for entry in method.get("defenses", [])) or "none"
