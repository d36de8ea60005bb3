"""Methods by name: ``@register("defense", "trades")`` in ``gauntlet/defenses/embeddings/trades.py``.

The file carries the method's name, so that a name resolves to its module without importing the
siblings: adding a method changes nothing for the others, and the digest of a step covers only the
modules that it uses.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from gauntlet.core.errors import GauntletError, did_you_mean

T = TypeVar("T")

PACKAGE = Path(__file__).resolve().parent.parent

_registered: dict[tuple[str, str], object] = {}


def homes() -> dict[str, Path]:
    """Kind -> the folder whose ``__init__.py`` says ``KIND = "<kind>"``. Read, not imported: a new kind
    changes no file but its own."""
    return _homes(PACKAGE)


@cache
def _homes(package: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(package.rglob("__init__.py")):
        if match := re.search(r'^KIND = "(\w+)"$', path.read_text(encoding="utf-8"), re.MULTILINE):
            found[match[1]] = path.parent
    return found


def home(kind: str) -> Path:
    """The folder with the files of a kind. Raises GauntletError for an unknown kind."""
    if kind not in homes():
        raise GauntletError(f"unknown kind {kind!r}", remedy=did_you_mean(kind, homes()))
    return homes()[kind]


def register(kind: str, name: str) -> Callable[[T], T]:
    """Class or function decorator: make this the ``kind`` called ``name``.

    Raises:
        GauntletError: unknown kind, or the file is not called after the method.
    """
    folder = home(kind)

    def decorate(method: T) -> T:
        module = method.__module__.rsplit(".", 1)[-1]
        if module != name:
            raise GauntletError(
                f"{kind} {name!r} is registered in {module}.py",
                remedy=f"move it to {folder.relative_to(PACKAGE)}/{name}.py",
            )
        _registered[kind, name] = method
        return method

    return decorate


def names(kind: str) -> list[str]:
    """All methods of a kind, from the file names alone (nothing is imported)."""
    return sorted(_files(kind))


def module_path(kind: str, name: str) -> Path:
    """The file that defines a method.

    Raises:
        GauntletError: there is no such method; names the closest.
    """
    files = _files(kind)
    if name not in files:
        raise GauntletError(f"unknown {kind} {name!r}", remedy=did_you_mean(name, files))
    return files[name]


def resolve(kind: str, name: str):
    """Import the module of one method and return the registered class or function."""
    path = module_path(kind, name)
    dotted = ".".join(("gauntlet", *path.relative_to(PACKAGE).with_suffix("").parts))
    importlib.import_module(dotted)
    try:
        return _registered[kind, name]
    except KeyError:
        raise GauntletError(
            f"no {kind} called {name!r} is registered here",
            file=path,
            remedy=f'add @register("{kind}", "{name}") to its class or function',
        ) from None


def create(kind: str, name: str, options: dict[str, Any], *, key: str = "method.options"):
    """The registered class called ``name``, made with ``options``.

    Raises:
        GauntletError: there is no such method, or it does not take these options; names ``key``.
    """
    method = resolve(kind, name)
    try:
        return method(**options)
    except TypeError as error:
        raise GauntletError(f"{kind} {name!r}: {error}", key=key, remedy="see its docstring") from error


def options(kind: str, name: str) -> dict[str, tuple[str, bool]]:
    """Options of a registered method, read from its source: name -> (annotation, required).

    Those of a class are what its constructor takes, or that of the class it inherits from; those of a
    function are its keyword-only arguments. Static, so that a study can be checked without importing torch.
    """
    tree = ast.parse(module_path(kind, name).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        if any(_registers(decorator, kind, name) for decorator in node.decorator_list):
            return _keywords(node.args) if isinstance(node, ast.FunctionDef) else _constructor(node, tree)
    return {}


def _constructor(node: ast.ClassDef, tree: ast.Module) -> dict[str, tuple[str, bool]]:
    """Parameters of a class's constructor, or of the nearest one among its bases in this package."""
    for function in node.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            return _parameters(function.args)
    for base in node.bases:
        for found, home_tree in _definitions(base, tree):
            if parameters := _constructor(found, home_tree):
                return parameters
    return {}


def _definitions(base: ast.expr, tree: ast.Module):
    """(class, its file's tree) of a base class that is defined here or imported from this package by name."""
    if not isinstance(base, ast.Name):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == base.id:
            yield node, tree
        names = (
            [alias.name for alias in getattr(node, "names", ())] if isinstance(node, ast.ImportFrom) else []
        )
        if base.id in names and (node.module or "").startswith("gauntlet."):
            path = PACKAGE.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            if path.is_file():
                other = ast.parse(path.read_text(encoding="utf-8"))
                yield from _definitions(base, other)


def _registers(decorator: ast.expr, kind: str, name: str) -> bool:
    return isinstance(decorator, ast.Call) and [
        argument.value for argument in decorator.args if isinstance(argument, ast.Constant)
    ] == [kind, name]


def _parameters(arguments: ast.arguments) -> dict[str, tuple[str, bool]]:
    positional = arguments.args[1:]  # without self
    required = len(positional) - len(arguments.defaults)
    found = {argument.arg: (_annotation(argument), i < required) for i, argument in enumerate(positional)}
    return found | _keywords(arguments)


def _keywords(arguments: ast.arguments) -> dict[str, tuple[str, bool]]:
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {argument.arg: (_annotation(argument), default is None) for argument, default in pairs}


def _annotation(argument: ast.arg) -> str:
    return ast.unparse(argument.annotation) if argument.annotation else ""


def _files(kind: str) -> dict[str, Path]:
    """Method files of a kind by name; a file that registers nothing is a helper and is left out."""
    found = {}
    for path in sorted(home(kind).rglob("*.py")):
        if not path.name.startswith("_") and f'@register("{kind}", "' in path.read_text(encoding="utf-8"):
            found[path.stem] = path
    return found
