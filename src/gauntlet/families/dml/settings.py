"""What a ``dml`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, field_serializer, field_validator, model_validator

from gauntlet.core.config import Strict
from gauntlet.data.registry import entry as dataset_entry

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {"train": ("training", "spread"), "attack": ("scores", "examples", "projections", "sanity")}

#: Several processes may share a training (``models.shared``).
SHARED = True

#: Trainings may multiply by TF32 on a GPU (docs/cluster.md, "Precision").
TF32 = True

#: The registered kind of this family's networks.
NETWORK = "model"

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, strict=False, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]
Pixel = Annotated[float, Field(gt=0, le=1, strict=False)]


class Data(Strict):
    """Which classes and images to train on; the classes are drawn anew for every seed (zero-shot)."""

    train_classes: Positive | None = Field(
        None, description="classes to train on, all others are for testing; absent: the dataset's own split"
    )
    train_per_class: Positive | None = Field(None, description="training images per class; all when absent")
    photo_size: Positive = Field(224, description="photos are cut to squares of so many pixels")


class Method(Strict):
    """A defense and how it is used."""

    defense: str = Field(description="a file in src/gauntlet/defenses/embeddings/")
    members: Positive = Field(1, description="networks in the ensemble")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the defense")


class Train(Strict):
    """The training recipe, shared by all defenses. Pixel values are in [0, 1]."""

    epochs: Positive
    batch: Positive
    sampler: str = Field("random", pattern="^(random|balanced)$")
    per_class: Positive = Field(
        4, description="images per class in a balanced batch, or more if classes are few"
    )
    crop: tuple[Pixel, Pixel] = Field(
        (0.08, 1.0),
        strict=False,
        description="least and greatest share of a photo's area that a training image shows",
    )
    embedding: Positive = Field(description="embedding dimension of one member")
    pretrained: bool = Field(False, description="begin with ImageNet weights (docs/architectures.md)")
    normalise: bool = Field(True, description="show pretrained weights images as they were on ImageNet")
    freeze_batchnorm: bool = Field(False, description="keep the backbone's BatchNorm as it began")
    warmup: int = Field(0, ge=0, description="epochs that train the head and the proxies alone")
    loss: str = Field("proxy_anchor", description="a file in src/gauntlet/losses/")
    loss_options: dict[str, Any] = Field(default_factory=dict, description="arguments of the loss")
    optimizer: Literal["adamw", "adam"] = Field(
        "adamw", description="adam adds the weight decay to the gradient"
    )
    lr: PositiveFloat = Field(description="rate for the network")
    proxy_lr: PositiveFloat | None = Field(None, description="rate for the proxies; lr when absent")
    weight_decay: NonNegative = 0.0
    decay_every: Positive | None = Field(
        None, description="epochs after which all rates are multiplied by decay"
    )
    decay: PositiveFloat = 0.5
    clip: PositiveFloat = Field(10.0, description="gradient value clipping")
    eps: Pixel = Field(description="L-inf budget of the training attack")
    step: Pixel = Field(description="step of the training attack")
    steps: Positive = Field(description="steps of the training attack")


class AttackSettings(Strict):
    """One attack of a trial; what is absent is the headline's."""

    objective: str | None = Field(
        None, description="a file in src/gauntlet/attacks/; the attack's label when absent"
    )
    search: str = Field("pgd", description="a file in src/gauntlet/attacks/searches/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the search")
    norm: Literal["linf", "l2"] = Field("linf", description="of the budget; l2 needs an eps of its own")
    eps: PositiveFloat | None = Field(None, description="pixel range 1; l2: over all pixels of an image")
    step: PositiveFloat | None = Field(
        None, description="absent: as far in relation to eps and steps as the headline's"
    )
    steps: Positive | None = Field(None, description="iterations of the search")
    restarts: Positive | None = None

    @model_validator(mode="after")
    def _a_norm_has_its_budget(self) -> AttackSettings:
        if self.norm != "linf" and self.eps is None:
            raise ValueError(f"an attack in the norm {self.norm} needs its own eps")
        for name in ("eps", "step"):
            if self.norm == "linf" and (getattr(self, name) or 0) > 1:
                raise ValueError(f"an L-inf {name} above 1 is beyond the whole pixel range")
        return self

    def step_at(self, eps: float, steps: int) -> float:
        """The step size of this (complete) attack at another budget and length, which then covers the same
        multiple of its budget."""
        return min(eps, self.step * (eps / self.eps) * (self.steps / steps))


class Attacks(RootModel[dict[str, AttackSettings]]):
    """Label -> attack."""


class Evaluate(Strict):
    """The test-time attacks. Every list includes what the figures and the sanity suite need.

    ``attacks`` is a list of names, or a mapping from labels to attacks; the list ``[shift]`` is short for the
    mapping ``{shift: {}}``, and is what it is written as.
    """

    test_per_class: Positive | None = Field(None, description="test images per class; all when absent")
    attacks: dict[str, AttackSettings] = Field(
        description="files in src/gauntlet/attacks/, or attacks by label; the headline's worst is reported"
    )
    eps: Pixel = Field(description="L-inf budget of the headline")
    step: Pixel
    steps: Positive
    restarts: Positive = 1
    recall: list[Positive] = [1, 2, 4, 8]
    kmeans_runs: Positive = Field(50, description="random starts of k-means; the best run is scored")
    sweep_attack: str = Field("joint_pair", description="the attack of the sweeps")
    eps_sweep: list[PositiveFloat] = Field([], description="in the norm of sweep_attack")
    steps_sweep: list[Positive] = []
    fractions: list[Pixel] = Field([], description="perturbed fractions of the test set")
    sanity_images: Positive = Field(100, description="test images of the sanity suite, per trial")
    sanity_steps: Positive = Field(description="steps of the suite's longer attack")
    transfer: bool = Field(True, description="member-to-member transfer matrix of ensembles")
    projection_seeds: list[int] = Field([], description="seeds whose t-SNE coordinates are kept")

    @field_validator("attacks", mode="before", json_schema_input_type=list[str] | Attacks)
    @classmethod
    def _by_label(cls, attacks: Any) -> Any:
        if not isinstance(attacks, list):
            return attacks
        if not all(isinstance(name, str) for name in attacks):
            raise ValueError("give the names of attacks")
        if len(set(attacks)) < len(attacks):
            raise ValueError("an attack is there twice")
        return {name: {} for name in attacks}

    @field_serializer("attacks")
    def _as_written(self, attacks: dict[str, AttackSettings]) -> Any:
        plain = AttackSettings()
        if all(entry in (plain, AttackSettings(objective=label)) for label, entry in attacks.items()):
            return list(attacks)
        return {label: entry.model_dump(mode="json") for label, entry in attacks.items()}

    @model_validator(mode="after")
    def _labels_are_known(self) -> Evaluate:
        if taken := {"clean", "worst"} & set(self.attacks):
            raise ValueError(f"attacks cannot be called {sorted(taken)}")
        if self.sweep_attack not in self.attacks:
            raise ValueError(f"sweep_attack {self.sweep_attack!r} is not among attacks {list(self.attacks)}")
        if self.attacks[self.sweep_attack].norm == "linf" and max(self.eps_sweep, default=0) > 1:
            raise ValueError("eps_sweep: an L-inf eps above 1 is beyond the whole pixel range")
        return self

    def attack(self, label: str) -> AttackSettings:
        """The attack with that label, complete."""
        entry = self.attacks[label]
        eps, steps = entry.eps or self.eps, entry.steps or self.steps
        return entry.model_copy(
            update={
                "objective": entry.objective or label,
                "eps": eps,
                "step": entry.step or self.step * (eps / self.eps) * (self.steps / steps),
                "steps": steps,
                "restarts": entry.restarts or self.restarts,
            }
        )

    def headline(self) -> list[str]:
        """Labels of the attacks with the headline's budget, which may be compared: the worst is theirs."""
        found = {label: self.attack(label) for label in self.attacks}
        return [label for label, attack in found.items() if (attack.norm, attack.eps) == ("linf", self.eps)]


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` are for."""
    return ("defense", method["defense"])


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    train, architecture = identity["train"], identity["architecture"]
    return (
        ("defense", identity["method"]["defense"]),
        ("form", dataset_entry(identity["dataset"]).form),
        ("loss", train["loss"]),
        ("model", architecture),
        *((("weights", architecture),) if train["pretrained"] else ()),
    )


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that an evaluation uses."""
    attacks = evaluate["attacks"]
    entries = {label: {} for label in attacks} if isinstance(attacks, list) else attacks
    objectives = {entry.get("objective") or label for label, entry in entries.items()}
    searches = {entry.get("search", "pgd") for entry in entries.values()}
    named = [("attack", name) for name in objectives] + [("search", name) for name in searches]
    form = dataset_entry(identity["dataset"]).form
    return (("form", form), ("model", identity["architecture"]), *sorted(named))


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Step -> name -> a cell whose weights its job reads: for the attacks the undefended network of the same
    setting, as ``surrogate``, which attacks are transferred from."""
    method = Method(defense="none").model_dump(mode="json")
    return {} if identity["method"] == method else {"attack": {"surrogate": {**identity, "method": method}}}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a model's folder name: the defense, and the ensemble size if above 1."""
    return method["defense"] + (f"_x{method['members']}" if method["members"] > 1 else "")
