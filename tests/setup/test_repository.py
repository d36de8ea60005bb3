"""What a stranger trusts the repository by: no leaks, no dead declarations, no dead links."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

#: Distribution -> module, where they differ.
MODULES = {
    "fonttools": "fontTools",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
#: Used as a command or a setting instead of an import: what to look for, and where.
INVOKED = {
    "dvc": (r"[\"'\s]dvc[\"'\s]", "src/gauntlet"),
    "dvc-s3": (r"s3://", "tests/remotes"),
    "dvc-ssh": (r"ssh://", "tests/remotes"),
    "moto": (r"moto\.server", "tests/remotes"),
    "snakemake": (r"[\"'\s]snakemake[\"',\s]", "src/gauntlet"),
    "snakemake-executor-plugin-slurm": (r"^executor: slurm$", "profiles"),
    "torchvision": (r"torchvision", "src/gauntlet"),
    "faiss-cpu": (r"^\s*import faiss", "src/gauntlet"),
    "faiss-gpu": (r"^\s*import faiss", "src/gauntlet"),
    "ruff": (r"\) ruff check", "Makefile"),
    "snakefmt": (r"\) snakefmt --check", "Makefile"),
    "pre-commit": (r"pre-commit install", "CONTRIBUTING.md"),
    "pytest-xdist": (r"pytest -n ", "Makefile"),
    "pytest-timeout": (r"^timeout = ", "pyproject.toml"),
    "hatchling": (r"hatchling.build", "pyproject.toml"),
    "editables": (r"--no-build-isolation", "envs"),
    "setuptools": (r"--build-constraints", "envs"),
}


@pytest.fixture
def files(root) -> list[Path]:
    """Every text file that is, or could be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    binary = {".png", ".pdf", ".parquet", ".gz", ".safetensors", ".zst"}
    paths = [root / name for name in names if name and Path(name).suffix not in binary]
    paths = [path for path in paths if "corpus" not in path.parts]  # of the fuzzer
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.needs("git")
def test_no_path_of_a_machine(files, root):
    assert len(files) > 30
    pattern = re.compile(r"(?<![\w.-])/(?:work|root|home|Users|farm|tmp/bash_jobs)/[\w.]")
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not pattern.search(line), f"{path.relative_to(root)}:{number}: {line.strip()[:100]}"


@pytest.mark.needs("git")
def test_text_files_end_with_one_newline(files, root):
    for path in files:
        content = path.read_bytes()
        if content and path.parts[len(root.parts)] != "published":
            assert content.endswith(b"\n"), path
            assert not content.endswith(b"\n\n"), path
            assert b"\r" not in content, path


def imported_modules(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def is_used(name: str, root: Path, imported: set[str]) -> bool:
    if MODULES.get(name, name).replace("-", "_") in imported:
        return True
    if name.startswith("nvidia-"):  # loaded by faiss-gpu itself
        return True
    pattern, where = INVOKED.get(name, ("(?!)", "Makefile"))
    place = root / where
    sources = [place] if place.is_file() else [p for p in place.rglob("*") if p.suffix in (".py", ".yaml")]
    return any(re.search(pattern, source.read_text(encoding="utf-8"), re.M) for source in sources)


@pytest.mark.parametrize("group", ["dependencies", "cpu", "gpu", "build", "remotes", "test"])
def test_every_declared_dependency_is_used(root, group):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] if group == "dependencies" else project["optional-dependencies"][group]
    imported = imported_modules(root / "src")
    if group == "test":
        imported |= imported_modules(root / "tests")
    names = [Requirement(text).name for text in declared]
    assert names
    assert [name for name in names if not is_used(name, root, imported)] == []


@pytest.mark.needs("git")
def test_links_between_pages_lead_somewhere(files, root):
    pages = [path for path in files if path.suffix == ".md"]
    assert root / "README.md" in pages
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|<img[^>]+src=\"([^\"]+)\"", text):
            link = target[0] or target[1]
            if "://" not in link and not link.startswith("mailto:"):
                assert (page.parent / link).exists(), f"{page.relative_to(root)}: {link}"


def test_every_page_is_in_the_table_of_contents(root):
    contents = (root / "docs" / "index.md").read_text()
    for page in (root / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in contents, page.name


def test_the_version_is_said_alike_everywhere(root):
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert f"## [{version}]" in (root / "CHANGELOG.md").read_text()
    assert citation["license"] == "MIT"
    assert (root / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_conda_environments_use_the_locks(root, name):
    environment = yaml.safe_load((root / "envs" / f"{name}.yaml").read_text())
    assert environment["name"] == "gauntlet"
    assert environment["dependencies"] == ["python=3.11", "pip"]
    script = root / "envs" / f"{name}.post-deploy.sh"  # the name by which Snakemake finds it
    assert f"pip install --require-hashes -r envs/{name}.txt\n" in script.read_text()
    assert (root / "envs" / f"{name}.txt").is_file()


def test_ci_runs_the_readmes_test_command(root):
    script = (root / ".ci" / "run").read_text()
    assert script.rstrip().endswith("make test\nmake test_remotes\nexec make test_slurm")
    assert "GAUNTLET_REQUIRE_ALL=1" in script
    assert "make test" in (root / "README.md").read_text()
