"""A digest of the code a step really uses, for Snakemake's ``params``.

Snakemake does not see edits in an imported package. The digest covers the step's modules and what
they import from this package, transitively, as syntax trees without docstrings: a changed comment
or docstring leaves it alone, a changed constant does not. Nothing is imported to compute it.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from gauntlet.core.registry import PACKAGE, module_path


@cache
def code_digest(*modules: str, methods: tuple[tuple[str, str], ...] = ()) -> str:
    """Digest (16 hex digits) of dotted ``modules`` and registered ``methods`` (kind, name)."""
    roots = [_file(module) for module in modules] + [module_path(*method) for method in methods]
    if missing := [module for module, root in zip(modules, roots, strict=False) if root is None]:
        raise ValueError(f"no such module: {missing}")
    total = hashlib.sha256()
    for path in sorted(_closure(roots)):
        total.update(f"{path.relative_to(PACKAGE)}\n{_tree(path)}\n".encode())
    return total.hexdigest()[:16]


def _closure(roots: list[Path]) -> set[Path]:
    seen: set[Path] = set()
    todo = list(roots)
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_imports(path))
    return seen


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _tree(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    """Files of this package that ``path`` imports, anywhere in it, by absolute import."""
    found = []
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            dotted = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [file for name in dotted if (file := _file(name))]
    return tuple(found)


def _file(dotted: str) -> Path | None:
    head, *rest = dotted.split(".")
    if head != "gauntlet":
        return None
    base = PACKAGE.joinpath(*rest)
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
