"""Real Snakemake runs, in copies of this checkout that have their own package, results and metadata."""

from __future__ import annotations

import pytest

from projects import Project, checkout


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Project:
    """The checkout without results; digits are prepared by the workflow from the scikit-learn wheel."""
    return checkout(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def smoked(fresh, tmp_path_factory) -> Project:
    """The project after a whole run at scale `smoke`. Tests copy it before they change it."""
    project = fresh.copy(tmp_path_factory.mktemp("smoked") / "project")
    project.snakemake()
    return project


@pytest.fixture
def project(smoked, tmp_path) -> Project:
    """A finished smoke run of one's own, to edit."""
    return smoked.copy(tmp_path / "project")
