"""What a ``classifier`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gauntlet.core.config import Strict

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {"train": ("training",), "attack": ("scores", "predictions", "sanity")}

#: Trainings may multiply by TF32 on a GPU (docs/cluster.md, "Precision").
TF32 = True

#: The registered kind of this family's networks.
NETWORK = "classifier"

#: The forms of datasets that it takes.
FORMS = ("arrays",)

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, strict=False)]
NonNegative = Annotated[float, Field(ge=0, strict=False)]
Share = Annotated[float, Field(gt=0, lt=1, strict=False)]


class Data(Strict):
    """Which images there are. All classes are trained on and tested on."""

    per_class: Positive | None = Field(None, description="training images per class; all when absent")
    held_out: Annotated[int, Field(ge=0)] = Field(
        0, description="images per class of the training split that calibration gets"
    )


class Method(Strict):
    """How the network is made to withstand attacks."""

    classifier_defense: str = Field("none", description="a file in src/gauntlet/defenses/classifiers/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the defense")


class Train(Strict):
    """The training recipe. Pixel values are in [0, 1]."""

    epochs: Positive
    batch: Positive
    optimizer: Literal["sgd", "adam", "rmsprop"] = "sgd"
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1, strict=False)] = Field(0.9, description="of SGD")
    weight_decay: NonNegative = 0.0
    schedule: Literal["constant", "steps", "cosine"] = "constant"
    decay_at: list[Share] = Field(
        [], description="of schedule steps: shares of the training after which the rate falls"
    )
    decay: Annotated[float, Field(gt=0, le=1, strict=False)] = Field(0.1, description="of schedule steps")
    augment: list[Literal["crop", "flip"]] = Field(
        [], description="crop: at random, from the image padded by 4; flip: left to right, every other image"
    )
    normalise: bool = Field(False, description="the network begins by normalising each channel")


class Evaluation(Strict):
    """One attack and its budget."""

    classifier_attack: str = Field(description="a file in src/gauntlet/attacks/classifiers/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the attack")


class Evaluate(Strict):
    """The test-time attacks, each on the same test images; ``worst`` is the best choice among those of
    one eps."""

    test_per_class: Positive | None = Field(None, description="test images per class; all when absent")
    attacked_per_class: Positive | None = Field(
        None, description="of these, how many are attacked; all when absent"
    )
    attacks: dict[str, Evaluation] = Field(
        {}, description="attacks by the name that figures and tables know them by"
    )
    sanity_per_class: Positive = Field(10, description="test images per class of the sanity suite")
    sanity_steps: Positive = Field(100, description="steps of the suite's longer attack")

    @model_validator(mode="after")
    def _names_are_free(self) -> Evaluate:
        if taken := {"clean", "worst"} & set(self.attacks):
            raise ValueError(f"attacks cannot be called {sorted(taken)}")
        return self


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` belong to."""
    return "classifier_defense", method["classifier_defense"]


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    return method_kind(identity["method"]), ("classifier", identity["architecture"])


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that an attack job uses."""
    attacks = {entry["classifier_attack"] for entry in evaluate["attacks"].values()}
    named = (("classifier_attack", name) for name in sorted(attacks))
    return (("classifier", identity["architecture"]), *named)


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """No cell reads another's weights: attacks are white-box."""
    return {}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a model's folder name."""
    return method["classifier_defense"]
