"""What a ``dml`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from gauntlet.core.config import Strict

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {"train": ("training",), "attack": ("scores", "examples", "projections", "sanity")}

#: The registered kind of this family's networks.
NETWORK = "model"

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, strict=False)]
NonNegative = Annotated[float, Field(ge=0, strict=False)]
Pixel = Annotated[float, Field(gt=0, le=1, strict=False)]


class Data(Strict):
    """Which classes and images to train on; the classes are drawn anew for every seed (zero-shot)."""

    train_classes: Positive = Field(description="classes to train on; all others are for testing")
    train_per_class: Positive | None = Field(None, description="training images per class; all when absent")


class Method(Strict):
    """A defense and how it is used."""

    defense: str = Field(description="a file in src/gauntlet/defenses/")
    members: Positive = Field(1, description="networks in the ensemble")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the defense")


class Train(Strict):
    """The training recipe, shared by all defenses. Pixel values are in [0, 1]."""

    epochs: Positive
    batch: Positive
    lr: PositiveFloat = Field(description="Adam's rate for the network")
    proxy_lr: PositiveFloat = Field(description="Adam's rate for the proxies")
    weight_decay: NonNegative = 0.0
    sampler: str = Field("random", pattern="^(random|balanced)$")
    embedding: Positive = Field(description="embedding dimension of one member")
    alpha: PositiveFloat = Field(32.0, description="Proxy-Anchor scale")
    delta: NonNegative = Field(0.1, description="Proxy-Anchor margin (cosine)")
    clip: PositiveFloat = Field(10.0, description="gradient value clipping")
    eps: Pixel = Field(description="L-inf budget of the training attack")
    step: Pixel = Field(description="step of the training attack")
    steps: Positive = Field(description="steps of the training attack")


class Evaluate(Strict):
    """The test-time attacks. Every list includes what the figures and the sanity suite need."""

    test_per_class: Positive | None = Field(None, description="test images per class; all when absent")
    attacks: list[str] = Field(description="files in src/gauntlet/attacks/; the worst is reported")
    eps: Pixel
    step: Pixel
    steps: Positive
    restarts: Positive = 1
    recall: list[Positive] = [1, 2, 4, 8]
    kmeans_runs: Positive = Field(50, description="random starts of k-means; the best run is scored")
    sweep_attack: str = Field("joint_pair", description="the attack of the sweeps")
    eps_sweep: list[Pixel] = []
    steps_sweep: list[Positive] = []
    fractions: list[Pixel] = Field([], description="perturbed fractions of the test set")
    sanity_images: Positive = Field(100, description="test images of the sanity suite, per trial")
    sanity_steps: Positive = Field(description="steps of the suite's longer attack")
    transfer: bool = Field(True, description="member-to-member transfer matrix of ensembles")
    projection_seeds: list[int] = Field([], description="seeds whose t-SNE coordinates are kept")

    @model_validator(mode="after")
    def _sweep_is_an_attack(self) -> Evaluate:
        if self.sweep_attack not in self.attacks:
            raise ValueError(f"sweep_attack {self.sweep_attack!r} is not among attacks {self.attacks}")
        return self


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` are for."""
    return ("defense", method["defense"])


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    return (("defense", identity["method"]["defense"]), ("model", identity["architecture"]))


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that an evaluation uses."""
    return (("model", identity["architecture"]), *(("attack", name) for name in evaluate["attacks"]))


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Step -> name -> a cell whose weights its job reads: for the attacks the undefended network of the same
    setting, as ``surrogate``, which attacks are transferred from."""
    method = Method(defense="none").model_dump(mode="json")
    return {} if identity["method"] == method else {"attack": {"surrogate": {**identity, "method": method}}}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a model's folder name: the defense, and the ensemble size if above 1."""
    return method["defense"] + (f"_x{method['members']}" if method["members"] > 1 else "")
