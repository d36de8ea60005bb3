"""What a ``stealing`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gauntlet.core.config import Strict
from gauntlet.families.classifier import settings as victims

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {"train": ("progress", "answers", "samples"), "attack": ("scores", "predictions")}

#: The registered kind of this family's networks: the substitutes.
NETWORK = "classifier"

#: The forms of datasets that it takes.
FORMS = ("arrays",)

Positive = Annotated[int, Field(gt=0)]


class Target(Strict):
    """The victim: a trained cell of the family ``classifier``, of the same seed."""

    classifier: str = Field(description="a file in src/gauntlet/models/classifiers/")
    data: victims.Data = victims.Data()
    method: victims.Method = victims.Method()
    train: victims.Train


class Data(Strict):
    """Who is stolen from, and the images that the substitute is judged on. The thief sees neither."""

    target: Target
    test_per_class: Positive | None = Field(None, description="test images per class; all when absent")


class Method(Strict):
    """How the thief asks and learns."""

    stealing: str = Field(description="a file in src/gauntlet/stealing/")
    access: Literal["label", "probabilities", "logits"] = Field(
        "label", description="what an answer of the target holds"
    )
    natural: str | None = Field(
        None, description="a dataset whose training images the thief has, cut to the target's form"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the method")


class Protection(Strict):
    """One thing that the target does about thieves."""

    oracle_defense: str = Field(description="a file in src/gauntlet/blackbox/defenses/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the defense")


class Train(Strict):
    """What all methods share."""

    budget: Positive = Field(description="most images that the target answers")
    generator: str = Field(description="a file in src/gauntlet/models/generators/")
    activation: Literal["relu", "tanh", "sigmoid"] = Field("relu", description="of the generator's output")
    latent: Positive = Field(128, description="length of a noise vector")
    clip: bool = Field(False, description="the target cuts queries to [0, 1]")
    protections: list[Protection] = Field([], description="what is done to answers, in this order")
    measure_every: Positive = Field(description="queries between two measurements of the substitute")


class Transfer(victims.Evaluation):
    """One attack that is made on the substitute and tried on the target."""

    targeted: bool = False


class Evaluate(Strict):
    """Transfer attacks on test images, in pixel space."""

    attacked_per_class: Positive | None = Field(
        None, description="test images per class that are attacked; all when absent"
    )
    goal: Annotated[int, Field(ge=0)] = Field(1, description="the class that targeted attacks aim at")
    attacks: dict[str, Transfer] = Field(
        {}, description="attacks by the name that figures and tables know them by"
    )

    @model_validator(mode="after")
    def _names_are_free(self) -> Evaluate:
        if taken := {"clean", "target"} & set(self.attacks):
            raise ValueError(f"attacks cannot be called {sorted(taken)}")
        return self


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` belong to."""
    return "stealing", method["stealing"]


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    train, target = identity["train"], identity["data"]["target"]
    networks = {("classifier", identity["architecture"]), ("classifier", target["classifier"])}
    protections = {("oracle_defense", entry["oracle_defense"]) for entry in train["protections"]}
    generator = ("generator", train["generator"])
    return (method_kind(identity["method"]), generator, *sorted(networks), *sorted(protections))


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that an attack job uses."""
    attacks = {entry["classifier_attack"] for entry in evaluate["attacks"].values()}
    named = (("classifier_attack", name) for name in sorted(attacks))
    networks = {
        ("classifier", identity["architecture"]),
        ("classifier", identity["data"]["target"]["classifier"]),
    }
    return (*sorted(networks), *named)


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Step -> name -> a cell whose weights its job reads: the ``target``."""
    target = identity["data"]["target"]
    victim = {
        "family": "classifier",
        "dataset": identity["dataset"],
        "architecture": target["classifier"],
        **{part: target[part] for part in ("data", "method", "train")},
    }
    return {step: {"target": victim} for step in TABLES}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a substitute's folder name."""
    return f"{method['stealing']}_{method['access']}"
