"""A run as an RO-Crate: https://w3id.org/ro/crate/1.1, profile Workflow Run Crate 0.5.

The crate holds the workflow, what it was configured by, the locked environment, the measurements and all
that was drawn from them, under their paths in the repository. Data sets have terms of their own: the crate
says which bytes they were and where they come from.
"""

from __future__ import annotations

import mimetypes
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from gauntlet.core.config import load_yaml
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic, sha256_file
from gauntlet.core.provenance import SIDECAR, commit
from gauntlet.data import registry
from gauntlet.data.registry import Url
from gauntlet.report.measurements import Measurements, read
from gauntlet.report.provenance.chain import STEPS
from gauntlet.report.provenance.cite import CITATION, authors
from gauntlet.report.provenance.trace import DRAWN
from gauntlet.report.provenance.verify import verify
from gauntlet.report.study import STUDIES, Study, load
from gauntlet.report.vocabulary import scale_label

METADATA = "ro-crate-metadata.json"

#: The profiles that the crate and its workflow follow, and the terms that they add.
PROFILES = {
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"

WORKFLOW = "Snakefile"
LOCKS = ("envs/cpu.txt", "envs/gpu.txt")
TOGETHER = ("claims.json", f"claims.json{SIDECAR}", "index.html")
TYPES = {".parquet": "application/vnd.apache.parquet", ".md": "text/markdown", ".tex": "text/x-tex"}


class _Crate:
    """A crate that is being made; ``crate`` is the library's."""

    def __init__(self) -> None:
        from rocrate.rocrate import ROCrate

        self.crate = ROCrate(version="1.1")
        self.crate.metadata.extra_contexts.append(TERMS)

    def add(self, id_: str, type_: str, **properties: Any):
        """Something that is told of and is no file of the crate."""
        from rocrate.model.contextentity import ContextEntity

        return self.crate.add(ContextEntity(self.crate, id_, {"@type": type_, **properties}))

    def file(self, path: str | Path, name: str = "", **properties: Any):
        """A file, under ``name`` or its own path."""
        path = Path(path)
        name = name or path.as_posix()
        return self.crate.add_file(path, name, properties={"name": name, **_facts(path), **properties})


def _facts(path: Path) -> dict[str, str]:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return {"encodingFormat": kind, "contentSize": str(path.stat().st_size), "sha256": sha256_file(path)}


def build(out: str | Path, folders: Mapping[str, Path], config: str | Path) -> Path:
    """Write the crate of a run. Paths are relative to the repository's root, the working directory.

    Args:
        out: a folder, or a file that ends in ``.zip``. A crate that is there is replaced.
        folders: study -> its gathered measurements.
        config: the scale file.

    Raises:
        GauntletError: ``out`` is there and is no crate; measurements are not there, or a file of the crate is
            not the one that was recorded.
    """
    out = Path(out)
    runs = [read(folder) for folder in folders.values()]
    _check(out, folders)
    studies = [load(STUDIES / f"{name}.yaml") for name in folders]
    made = _Crate()
    with atomic(out) as temporary:
        workflow = _workflow(made, temporary.parent)
        _root(made, runs, studies, workflow)
        inputs = [
            made.file(config, f"config/{Path(config).name}", description="the scale file"),
            *(made.file(STUDIES / f"{name}.yaml", description=f"the study {name}") for name in folders),
            *(made.file(lock, description="the locked environment") for lock in LOCKS),
            *(_data(made, name) for name in _datasets(runs)),
        ]
        outputs = [made.file(path) for path in _outputs(runs)]
        action = made.add("#run", "CreateAction", **_action(runs, workflow, inputs, outputs))
        made.crate.root_dataset["mentions"] = action
        (made.crate.write_zip if out.suffix == ".zip" else made.crate.write)(temporary)
    return out


def _workflow(made: _Crate, scratch: Path):
    """The Snakefile as the crate's workflow, and the repository at its commit."""
    version = commit()
    workflow = made.crate.add_workflow(
        WORKFLOW,
        WORKFLOW,
        main=True,
        lang="snakemake",
        lang_version=metadata.version("snakemake"),
        properties={**_facts(Path(WORKFLOW)), "version": version},
    )
    workflow["conformsTo"] = made.add(BIOSCHEMAS, "CreativeWork", name="ComputationalWorkflow")
    if version != "unknown":  # else this is no checkout of git
        source = scratch / "source.tar"
        archive = ["git", "archive", "--format=tar", "-o", source, "HEAD"]
        subprocess.run(archive, check=True, capture_output=True)
        workflow["isBasedOn"] = made.file(
            source, source.name, description=f"the repository at commit {version}"
        )
    return workflow


def _root(made: _Crate, runs: list[Measurements], studies: list[Study], workflow) -> None:
    """What the crate says of itself: title, authors, licence, papers, profiles."""
    citation, root = load_yaml(CITATION), made.crate.root_dataset
    scales = list(dict.fromkeys(run.scale for run in runs))
    creators = [
        made.add(f"#author-{index}", "Person" if "," in name else "Organization", name=name)
        for index, name in enumerate(authors(citation))
    ]
    licence = made.add(
        f"https://spdx.org/licenses/{citation['license']}", "CreativeWork", name=citation["license"]
    )
    workflow["name"] = citation["title"]
    workflow["license"] = root["license"] = licence
    workflow["creator"] = root["creator"] = root["author"] = _single(creators)
    named = ", ".join(study.study for study in studies)
    root["name"] = f"{citation['title']}: {named} at scale {', '.join(scales)}"
    root["description"] = f"{citation['abstract']} {'; '.join(map(scale_label, scales))}."
    root["citation"] = _single([_paper(made, study, citation) for study in studies])
    root["conformsTo"] = [
        made.add(profile, "CreativeWork", name=name, version=profile.rsplit("/", 1)[1])
        for profile, name in PROFILES.items()
    ]
    made.file(CITATION)
    made.file("README.md", about=root)


def _single(entries: list) -> Any:
    """The entry of a list of one, as RO-Crate 1.1 recommends."""
    return entries[0] if len(entries) == 1 else entries


def _check(out: Path, folders: Mapping[str, Path]) -> None:
    if out.exists() and not (out.suffix == ".zip" or (out / METADATA).is_file()):
        raise GauntletError(
            "this is there and is no crate", file=out, remedy="name a new folder, or a .zip file"
        )
    drawn = [DRAWN / name for name in (*folders, *TOGETHER)]
    checked = verify([str(path) for path in (*folders.values(), *drawn) if path.exists()])
    if not checked.well:
        raise GauntletError(
            [*checked.altered, *checked.missing][0], remedy="`gauntlet verify` names all; run snakemake again"
        )


def _paper(made: _Crate, study: Study, citation: dict[str, Any]):
    """The study's paper, with the title that ``CITATION.cff`` has for it."""
    paper, number = study.paper, f"arXiv:{study.paper.arxiv}"
    titles = {
        identifier["value"]: reference["title"]
        for reference in citation.get("references", ())
        for identifier in reference.get("identifiers", ())
    }
    return made.add(
        paper.url or f"#paper-{study.study}",
        "ScholarlyArticle",
        name=titles.get(number, study.title),
        creditText=paper.authors,
        datePublished=str(paper.year),
        **({"identifier": number} if paper.arxiv else {}),
    )


def _datasets(runs: Iterable[Measurements]) -> list[str]:
    used = {cell["dataset"] for run in runs for cell in run.manifest["cells"]}
    return sorted(used & set(registry.names()))


def _data(made: _Crate, name: str):
    """A data set by its identifiers; its bytes are not in the crate."""
    entry = registry.entry(name)
    hashes = [
        made.add(
            f"#{entry.folder}/{file}",
            "PropertyValue",
            name=f"{entry.folder}/{file}",
            propertyID="sha256",
            value=digest,
        )
        for file, digest in (entry.prepared or {}).items()
    ]
    addresses = [source.bases[0] for source in entry.sources if isinstance(source, Url)]
    return made.add(
        f"#data-{name}",
        "Dataset",
        name=entry.title,
        description=f"gauntlet data fetch {name} prepares the same bytes. {entry.reference}",
        license=entry.licence,
        identifier=hashes,
        **({"url": addresses[0]} if addresses else {}),
    )


def _outputs(runs: Iterable[Measurements]) -> list[Path]:
    """Measurements, drawn files with their sidecars, claims and report, as far as they are there."""
    found = [Path(file) for run in runs for file in run.files]
    for run in runs:
        found += sorted(path for path in (DRAWN / run.study).glob("*") if path.is_file())
    found += [DRAWN / name for name in TOGETHER]
    return [path for path in found if path.is_file()]


def _action(runs: list[Measurements], workflow, inputs: list, outputs: list) -> dict[str, Any]:
    steps = [cell[step] for run in runs for cell in run.manifest["cells"] for step in filter(cell.get, STEPS)]
    begun = [_span(step) for step in steps if step.get("started")]
    commits = sorted({step["commit"] for step in steps if step.get("commit")})
    devices = sorted({step["device"] for step in steps if step.get("device")})
    missing = sum(len(run.missing) for run in runs)
    times = {}
    if begun:
        first, last = min(start for start, _ in begun), max(end for _, end in begun)
        times = {"startTime": first.isoformat("T", "seconds"), "endTime": last.isoformat("T", "seconds")}
    return {
        "name": f"{len(steps)} jobs of {', '.join(run.study for run in runs)}",
        "description": f"Measured at commit {_listed(commits)}, on {_listed(devices)}.",
        "instrument": workflow,
        "object": inputs,
        "result": outputs,
        "actionStatus": f"http://schema.org/{'Failed' if missing else 'Completed'}ActionStatus",
        **({"error": f"{missing} cells have no result"} if missing else {}),
        **times,
    }


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "unknown"


def _span(step: dict[str, Any]) -> tuple[datetime, datetime]:
    start = datetime.strptime(step["started"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return start, start + timedelta(seconds=step.get("seconds", 0.0))
