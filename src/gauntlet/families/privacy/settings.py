"""What a ``privacy`` cell is determined by. Imports no torch: the workflow reads this while parsing.

Such a cell trains nothing: it needs a federation of family ``federated`` or ``distilled``, the same cell as
that of any other study, and shadow models of family ``shadows``.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from gauntlet.core.config import Strict
from gauntlet.families.distilled import settings as by_samples
from gauntlet.families.federated import settings as by_updates
from gauntlet.families.federated.settings import Data, Positive
from gauntlet.families.shadows import settings as by_halves

__all__ = ["Data", "Evaluate", "Method", "Train"]

#: Step -> the tables (``core.tables``) that its job writes.
TABLES = {"attack": ("scores", "roc", "samples")}

#: The registered kind of this family's networks.
NETWORK = "classifier"


class Method(by_updates.Method):
    """A federation by updates (``selection``, with what goes with it) or by distilled data."""

    selection: str | None = Field(None, description="a file in src/gauntlet/selection/")
    distillation: str | None = Field(None, description="a file in src/gauntlet/distillation/")
    options: dict[str, Any] = Field(
        default_factory=dict, description="arguments of the selection or the distillation"
    )

    @model_validator(mode="after")
    def _updates_or_samples(self) -> Method:
        if (self.selection is None) == (self.distillation is None):
            raise ValueError("give exactly one of selection and distillation")
        if self.distillation is not None:
            known = by_updates.Method.model_fields
            of_updates = [name for name in known if name not in ("selection", "options")]
            if given := [name for name in of_updates if getattr(self, name) != known[name].default]:
                raise ValueError(f"a distillation has no updates: leave out {', '.join(given)}")
        return self


class Train(Strict):
    """The recipes of both kinds of federation, and of shadow models."""

    federated: by_updates.Train
    distilled: by_samples.Train
    shadows: by_halves.Train | None = Field(None, description="absent: attacks know no shadow models")


class Membership(Strict):
    """One attack on membership."""

    membership: str = Field(description="a file in src/gauntlet/membership/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the attack")


class AttributeInference(Strict):
    """One attack on every attribute that is planted or private."""

    attribute_inference: str = Field(description="a file in src/gauntlet/attributes/")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the attack")


class Evaluate(Strict):
    """The attacks, by the names that figures and tables know them by."""

    membership: dict[str, Membership] = {}
    attributes: dict[str, AttributeInference] = {}
    candidates_per_class: Positive | None = Field(
        None, description="members per class that are sought among as many others; all when absent"
    )
    auxiliary_per_class: Positive | None = Field(
        None, description="images per class whose attributes the adversary knows; all when absent"
    )

    @model_validator(mode="after")
    def _names_are_free(self) -> Evaluate:
        if "clean" in {*self.membership, *self.attributes}:
            raise ValueError("an attack cannot be called 'clean'")
        if both := sorted(set(self.membership) & set(self.attributes)):
            raise ValueError(f"attacks of both kinds are called {both}")
        return self


def _family(method: dict[str, Any]):
    """The settings of the family that trains the federation, and its name."""
    return (by_updates, "federated") if method["selection"] else (by_samples, "distilled")


def target(identity: dict[str, Any]) -> dict[str, Any]:
    """The identity of the federation, as its own family makes it."""
    settings, family = _family(identity["method"])
    known = settings.Method.model_fields
    method = {name: value for name, value in identity["method"].items() if name in known}
    return {
        "family": family,
        **{name: identity[name] for name in ("dataset", "architecture", "data")},
        "method": settings.Method(**method).model_dump(mode="json"),
        "train": identity["train"][family],
    }


def method_kind(method: dict[str, Any]) -> tuple[str, str]:
    """The registered (kind, name) that ``method["options"]`` belong to."""
    return _family(method)[0].method_kind(method)


def evaluate_methods(identity: dict[str, Any], evaluate: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The registered methods (kind, name) that an attack job uses."""
    attacks = {("membership", entry["membership"]) for entry in evaluate["membership"].values()}
    attacks |= {
        ("attribute_inference", entry["attribute_inference"]) for entry in evaluate["attributes"].values()
    }
    imputation = {("attribute_inference", "imputation")} if evaluate["attributes"] else set()
    return (
        ("partition", identity["data"]["partition"]),
        ("classifier", identity["architecture"]),
        *sorted(attacks | imputation),
    )


def needs(identity: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Step -> name -> a cell whose weights its job reads: the ``target`` and its ``shadows``."""
    found = {"target": target(identity)}
    if recipe := identity["train"]["shadows"]:
        found["shadows"] = {
            "family": "shadows",
            **{name: identity[name] for name in ("dataset", "architecture", "data")},
            "method": by_halves.Method().model_dump(mode="json"),
            "train": recipe,
        }
    return {"attack": found}


def model_label(method: dict[str, Any]) -> str:
    """The readable part of a cell's folder name: the federation's."""
    return _family(method)[0].model_label(method)
