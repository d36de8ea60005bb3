"""Checks the options that a configuration gives to a registered method, without importing the method."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from gauntlet.core import registry
from gauntlet.core.errors import GauntletError, did_you_mean

#: Many methods of a study are one registered method with different options.
_options = cache(registry.options)

_PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict, "None": None}


def check_options(kind: str, name: str, given: dict[str, Any], *, file: str | Path, key: str) -> None:
    """Compare ``given`` with the options in the source of the ``kind`` called ``name``.

    Raises:
        GauntletError: an option that there is not, a value of another type than the option's annotation,
            or none for an option that needs one.
    """
    known = _options(kind, name)
    for option, value in given.items():
        if option not in known:
            raise GauntletError(
                f"unknown option {option!r}",
                file=file,
                key=f"{key}.{option}",
                remedy=did_you_mean(option, known),
            )
        _check_type(value, known[option][0], file, f"{key}.{option}")
    for option, (annotation, required) in known.items():
        if required and option not in given:
            raise GauntletError(
                f"{kind} {name!r} needs the option {option!r}",
                file=file,
                key=f"{key}.{option}",
                remedy=f"give {annotation or 'it'}",
            )


def _check_type(value: Any, annotation: str, file: str | Path, key: str) -> None:
    """Check a value against an annotation such as ``int``, ``float | None``, ``Literal[...]``."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    scope = {"Literal": Literal, "Any": Any}
    try:
        expected = eval(annotation or "Any", {"__builtins__": {}}, scope | _PLAIN)
    except NameError:  # an annotation of the method's own: the method checks it
        return
    try:
        TypeAdapter(expected, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise GauntletError(
            error.errors()[0]["msg"] + f" (got {value!r})", file=file, key=key, remedy=f"give {annotation}"
        ) from None
