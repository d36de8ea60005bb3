"""JSON schemas of the configuration files, from the models that check them: one source of truth."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import yaml

from gauntlet.core.files import write_text
from gauntlet.core.registry import PACKAGE
from gauntlet.plan import Scale
from gauntlet.report.study import Study

HEADER = "# Written by `gauntlet schema` from the models in src/gauntlet; edit those.\n"


def schemas() -> dict[str, dict[str, Any]]:
    """File stem -> JSON schema: the scale file, the study file, and the parts of every family's grid."""
    found = {"scale": Scale.model_json_schema(), "study": Study.model_json_schema()}
    for path in sorted((PACKAGE / "families").glob("*/settings.py")):
        settings = importlib.import_module(f"gauntlet.families.{path.parent.name}.settings")
        for part in ("Data", "Method", "Train", "Evaluate"):
            found[f"{path.parent.name}.{part.lower()}"] = getattr(settings, part).model_json_schema()
    return found


def write(folder: Path) -> list[Path]:
    """Write them as YAML; returns the paths."""
    paths = []
    for stem, schema in schemas().items():
        paths.append(folder / f"{stem}.schema.yaml")
        write_text(paths[-1], HEADER + yaml.safe_dump(schema, sort_keys=False))
    return paths
