"""The crate keeps what RO-Crate 1.1, Workflow RO-Crate and Workflow Run Crate demand, checked on its JSON."""

import hashlib
import json
import subprocess
import tarfile
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from gauntlet.core.errors import GauntletError
from gauntlet.report.provenance.crate import build

FOLDERS = {"eat": Path("results/studies/eat/mini")}
METADATA = "ro-crate-metadata.json"


@pytest.fixture
def crate(repository) -> Path:
    def git(*command: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], check=True, capture_output=True
        )

    git("init", "-q")
    git("add", "Snakefile", "config")
    git("commit", "-q", "-m", "all")
    return build("crate", FOLDERS, "config/mini.yaml")


def graph(text: str) -> dict[str, dict]:
    entities = json.loads(text)["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities)
    return found


def of(entity: dict, key: str) -> list:
    value = entity.get(key, [])
    return value if isinstance(value, list) else [value]


def ids(entity: dict, key: str) -> list[str]:
    return [value["@id"] for value in of(entity, key)]


def references(value) -> list[str]:
    if isinstance(value, list):
        return [found for entry in value for found in references(entry)]
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
    return []


@pytest.mark.needs("git")
def test_the_metadata_keep_the_musts_of_the_specification(crate):
    text = (crate / METADATA).read_text()
    assert "https://w3id.org/ro/crate/1.1/context" in json.loads(text)["@context"]
    entities = graph(text)
    descriptor, root = entities[METADATA], entities["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert ids(descriptor, "about") == ["./"]
    assert "https://w3id.org/ro/crate/1.1" in ids(descriptor, "conformsTo")
    assert root["@type"] == "Dataset"
    assert all(root[key] for key in ("name", "description", "license"))
    datetime.fromisoformat(root["datePublished"])
    assert all(entity["@type"] for entity in entities.values())
    for entity in entities.values():
        for reference in references([value for key, value in entity.items() if key != "@id"]):
            assert reference in entities or reference.startswith(
                ("https://w3id.org", "https://", "http://schema")
            )


@pytest.mark.needs("git")
def test_every_file_is_described_with_its_hash(crate):
    entities = graph((crate / METADATA).read_text())
    files = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()} - {METADATA}
    described = {key for key, entity in entities.items() if "File" in of(entity, "@type")}
    assert described == files == set(ids(entities["./"], "hasPart"))
    for name in files:
        assert entities[name]["sha256"] == hashlib.sha256((crate / name).read_bytes()).hexdigest()
    assert {"Snakefile", "config/mini.yaml", "envs/cpu.txt", "CITATION.cff"} <= files
    assert {"paper_figures/eat/comparison.pdf", "paper_figures/claims.json"} <= files
    assert {path.as_posix() for path in FOLDERS["eat"].iterdir()} <= files


@pytest.mark.needs("git")
def test_the_run_is_a_workflow_run(crate):
    entities = graph((crate / METADATA).read_text())
    root, descriptor = entities["./"], entities[METADATA]
    assert "https://w3id.org/workflowhub/workflow-ro-crate/1.0" in ids(descriptor, "conformsTo")
    for profile in ("process", "workflow"):
        assert entities[f"https://w3id.org/ro/wfrun/{profile}/0.5"]["@type"] == "CreativeWork"
        assert f"https://w3id.org/ro/wfrun/{profile}/0.5" in ids(root, "conformsTo")
    (main,) = ids(root, "mainEntity")
    assert set(entities[main]["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert entities[ids(entities[main], "programmingLanguage")[0]]["name"] == "Snakemake"
    (run,) = (entities[name] for name in ids(root, "mentions"))
    assert run["@type"] == "CreateAction"
    assert ids(run, "instrument") == [main]
    # Jobs of 12.5 s that began at midnight.
    assert (run["startTime"], run["endTime"]) == (
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:12+00:00",
    )
    assert "paper_figures/eat/comparison.pdf" in ids(run, "result")
    (data,) = (entities[name] for name in ids(run, "object") if entities[name]["@type"] == "Dataset")
    assert "CC BY 4.0" in data["license"]
    assert len(ids(data, "identifier")) == 5
    papers = [entities[name] for name in ids(root, "citation")]
    assert [paper["name"] for paper in papers] == ["Towards Adversarially Robust Deep Metric Learning"]
    archive = entities[ids(entities[main], "isBasedOn")[0]]["@id"]
    with tarfile.open(crate / archive) as packed:
        assert "Snakefile" in packed.getnames()
    assert ROCrate(crate).mainEntity.id == "Snakefile"


@pytest.mark.needs("git")
def test_a_zip_has_the_same_files(crate):
    packed = zipfile.ZipFile(build("crate.zip", FOLDERS, "config/mini.yaml"))
    assert set(packed.namelist()) == {
        path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()
    }
    assert set(graph(packed.read(METADATA).decode())) == set(graph((crate / METADATA).read_text()))


def test_a_folder_that_is_no_crate_is_left_alone(repository):
    Path("mine").mkdir()
    Path("mine/note").write_text("x")
    with pytest.raises(GauntletError, match="is no crate"):
        build("mine", FOLDERS, "config/mini.yaml")
    assert [path.name for path in Path("mine").iterdir()] == ["note"]


def test_an_altered_file_is_not_packed(repository):
    path = Path("paper_figures/eat/comparison.png")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(GauntletError, match=str(path)):
        build("crate", FOLDERS, "config/mini.yaml")
    assert not Path("crate").exists()
