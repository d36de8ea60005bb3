"""Reading configuration: YAML into strict models, with errors that name the file and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from gauntlet.core.errors import GauntletError, did_you_mean


class Strict(BaseModel):
    """A model that refuses unknown keys and loose types, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


#: libyaml's where it is there, ten times as fast: every job reads the configuration.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

M = TypeVar("M", bound=BaseModel)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises GauntletError naming the file, and the line where it can."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=LOADER)
    except FileNotFoundError as error:
        raise GauntletError("no such file", file=path, remedy="check the path") from error
    except yaml.YAMLError as error:
        raise GauntletError(
            f"not valid YAML: {error}", file=path, remedy="correct the line it names"
        ) from error
    if not isinstance(content, dict):
        raise GauntletError("expected a mapping of keys", file=path, remedy="see docs/configuration.md")
    return content


def parse(model: type[M], content: Any, *, file: str | Path, key: str = "") -> M:
    """Validate ``content`` against ``model``.

    Raises:
        GauntletError: the first fault, with the file, the dotted key and, for a misspelt key, the
            closest known one.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in (key, *first["loc"]) if part != "")
        if first["type"] == "extra_forbidden":
            known = _fields_at(model, first["loc"][:-1])
            raise GauntletError(
                "unknown key", file=file, key=path, remedy=did_you_mean(str(first["loc"][-1]), known)
            ) from None
        message = first["msg"].removeprefix("Value error, ")
        got = "" if first["type"] == "missing" else f" (got {_brief(first['input'])})"
        raise GauntletError(f"{message}{got}", file=file, key=path, remedy="correct the value") from None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Field names of the model that ``location`` (from a validation error) leads to."""
    schema = model.model_json_schema()
    node = schema
    for part in location:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part, node.get("additionalProperties", {}))
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict, node: Any) -> dict:
    if not isinstance(node, dict):
        return {}
    for option in node.get("anyOf", [node]):
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rsplit("/", 1)[-1]]
    return node
