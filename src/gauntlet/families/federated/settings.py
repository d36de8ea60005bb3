"""What a ``federated`` trial is determined by. Imports no torch: the workflow reads this while parsing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from gauntlet.core.config import Strict
from gauntlet.core.errors import GauntletError, did_you_mean

#: The tables (``core.tables``) that a step's job writes. There is no attack: one job does it all.
TABLES = {"train": ("training", "rounds", "picks", "clients", "exchange")}

#: The registered kind of this family's networks.
NETWORK = "classifier"

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, strict=False)]
NonNegative = Annotated[float, Field(ge=0, strict=False)]


def _absent(value: object) -> bool:
    """Left out of an identity: the names of cells without such a setting stay as they were."""
    return value is None


class Data(Strict):
    """Which images there are, and who owns them."""

    clients: Positive
    partition: str = Field("iid", description="a file in src/gauntlet/data/partitions/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the partition")
    per_class: Positive | None = Field(None, description="training images per class; all when absent")
    held_out: Annotated[int, Field(ge=0)] = Field(
        0, description="images per class of the training split that the server keeps for itself"
    )
    test_per_class: Positive | None = Field(None, description="test images per class; all when absent")
    plant: list[str] = Field(
        [],
        exclude_if=lambda names: not names,
        description="attributes that half of the images get, whatever their class: names in"
        " src/gauntlet/data/attributes.py",
    )
    photo_size: Positive | None = Field(
        None, exclude_if=_absent, description="photos are cut to squares of so many pixels; for photos alone"
    )
    task: str | None = Field(
        None,
        exclude_if=_absent,
        description="an attribute of the dataset's that is to be told, in place of its classes",
    )
    private: list[str] = Field(
        [],
        exclude_if=lambda names: not names,
        description="attributes of the dataset's that the task has no need of",
    )

    @field_validator("plant")
    @classmethod
    def _attributes_exist(cls, names: list[str]) -> list[str]:
        if names:
            from gauntlet.data.attributes import ATTRIBUTES

            if unknown := [name for name in names if name not in ATTRIBUTES]:
                raise ValueError(f"unknown attribute {unknown[0]!r}; there are {', '.join(ATTRIBUTES)}")
            if len(set(names)) < len(names):
                raise ValueError("an attribute is planted once")
        return names

    @model_validator(mode="after")
    def _attributes_differ(self) -> Data:
        names = [*([self.task] if self.task else []), *self.private, *self.plant]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the attribute {twice[0]!r} is named twice")
        return self

    def check_dataset(self, name: str, *, file: str | Path | None = None, key: str = "data") -> None:
        """Raise GauntletError where the settings do not fit the registry's dataset ``name``.

        That is: no images to train or to test on, photos without a size, a size for images of one size, an
        attribute that it does not have, or classes that only one split has.
        """
        from gauntlet.data.registry import entry

        found = entry(name)
        for split in ("train", "test"):
            if split not in found.splits:
                remedy = "choose another dataset"
                raise GauntletError(f"{name} has no images to {split} on", file=file, key=key, remedy=remedy)
        if (found.form == "photos") != (self.photo_size is not None):
            raise GauntletError(
                f"the images of {name} have {'many sizes' if found.form == 'photos' else 'one size'}",
                file=file,
                key=f"{key}.photo_size",
                remedy="give one, in pixels" if found.form == "photos" else "leave it out",
            )
        known = getattr(found, "attributes", None) or []
        for part, names in (("task", [self.task] if self.task else []), ("private", self.private)):
            for attribute in names:
                if attribute not in known:
                    raise GauntletError(
                        f"{name} has no attribute {attribute!r}",
                        file=file,
                        key=f"{key}.{part}",
                        remedy=did_you_mean(attribute, known) if known else "leave it out",
                    )
        if self.task is None and (found.class_count < 2 or getattr(found, "zero_shot", False)):
            raise GauntletError(
                f"there is nothing to learn of the classes of {name} that its test images show",
                file=file,
                key=f"{key}.task",
                remedy=f"name one of {', '.join(known)}" if known else "choose another dataset",
            )


class Defense(Strict):
    """One thing that is done to what clients send, or to how they train."""

    update_defense: str = Field(description="a file in src/gauntlet/defenses/updates/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the defense")


class Method(Strict):
    """Who takes part, what they optimise, and how their models become one."""

    selection: str = Field(description="a file in src/gauntlet/selection/")
    aggregation: str = Field("fedavg", description="a file in src/gauntlet/aggregation/")
    proximal: NonNegative = Field(0.0, description="mu of FedProx: local loss + mu/2 ||w - w_t||^2")
    contributions: Literal["needed", "maverick", "always"] = Field(
        "needed",
        description="rounds whose clients' contributions are measured: those the selection needs, those"
        " with a Maverick too, or all; the training is the same",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the selection")
    # Left out of an identity where there are none, so that the names of undefended cells stay as they were.
    defenses: list[Defense] = Field(
        [], exclude_if=lambda chain: not chain, description="of the updates, in this order"
    )


class Train(Strict):
    """The recipe, shared by all methods. Pixel values are in [0, 1]."""

    rounds: Positive
    selected: Positive = Field(description="clients per round")
    epochs: Positive = Field(1, description="local epochs per round")
    batch: Positive
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.0
    weight_decay: NonNegative = 0.0
    schedule: Literal["round", "participation"] = Field(
        "round", description="what the decay counts: global rounds, or the client's own participations"
    )
    decay_every: Positive | None = Field(None, description="rounds or participations; never when absent")
    decay: Annotated[float, Field(gt=0, le=1, strict=False)] = 0.1
    least_lr: NonNegative = Field(0.0, description="a decay that would go below this is left out")
    mode: Literal["sequential", "stacked"] = Field(
        "stacked", description="clients of a round one after the other, or as copies in one program"
    )
    learn: bool = Field(True, description="false: selection only, no training")


class Evaluate(Strict):
    """Nothing: every round is measured while training."""


def train_methods(identity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that a training uses."""
    return (
        ("partition", identity["data"]["partition"]),
        ("selection", identity["method"]["selection"]),
        ("aggregation", identity["method"]["aggregation"]),
        ("classifier", identity["architecture"]),
        *sorted({("update_defense", entry["update_defense"]) for entry in _defenses(identity["method"])}),
    )


def _defenses(method: dict[str, Any]) -> list[dict[str, Any]]:
    return method.get("defenses", [])


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return ()


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` belong to."""
    return "selection", method["selection"]


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """No cell reads another's weights."""
    return {}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a trial's folder name."""
    prox = "_prox" if method["proximal"] else ""
    chain = "".join(f"_{entry['update_defense']}" for entry in _defenses(method))
    return f"{method['selection']}_{method['aggregation']}{prox}{chain}"
