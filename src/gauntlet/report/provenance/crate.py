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
TOGETHER = ("claims.json", "index.html")
TYPES = {".parquet": "application/vnd.apache.parquet", ".md": "text/markdown", ".tex": "text/x-tex"}


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
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    out = Path(out)
    _check(out, folders)
    runs = [read(folder) for folder in folders.values()]
    studies = [load(STUDIES / f"{name}.yaml") for name in folders]
    citation = load_yaml(CITATION)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)

    def add(id_: str, type_: str, **properties: Any):
        return crate.add(ContextEntity(crate, id_, {"@type": type_, **properties}))

    def file(path: str | Path, **properties: Any):
        path = Path(path)
        kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
        known = {"encodingFormat": kind, "contentSize": str(path.stat().st_size), "sha256": sha256_file(path)}
        return crate.add_file(
            path, path.as_posix(), properties={"name": path.as_posix(), **known, **properties}
        )

    with atomic(out) as temporary:
        version = commit()
        creators = [
            add(f"#author-{index}", "Person" if "," in name else "Organization", name=name)
            for index, name in enumerate(authors(citation))
        ]
        licence = add(
            f"https://spdx.org/licenses/{citation['license']}", "CreativeWork", name=citation["license"]
        )
        papers = [_paper(add, study, citation) for study in studies]
        creators, papers = _single(creators), _single(papers)
        crate.name = f"{citation['title']}: {', '.join(folders)} at scale {', '.join(_scales(runs))}"
        crate.description = f"{citation['abstract']} {'; '.join(map(scale_label, _scales(runs)))}."
        crate.license, crate.creator = licence, creators
        crate.root_dataset["author"] = creators
        crate.root_dataset["citation"] = papers
        crate.root_dataset["conformsTo"] = [
            add(profile, "CreativeWork", name=name, version=profile.rsplit("/", 1)[1])
            for profile, name in PROFILES.items()
        ]

        workflow = crate.add_workflow(
            WORKFLOW,
            WORKFLOW,
            main=True,
            lang="snakemake",
            lang_version=metadata.version("snakemake"),
            properties={
                "name": citation["title"],
                "version": version,
                "encodingFormat": "text/plain",
                "sha256": sha256_file(WORKFLOW),
            },
        )
        workflow["license"], workflow["creator"] = licence, creators
        workflow["conformsTo"] = add(BIOSCHEMAS, "CreativeWork", name="ComputationalWorkflow")
        if source := _source(temporary.parent, version):
            name = f"gauntlet-{source.stem}.tar"
            workflow["isBasedOn"] = crate.add_file(
                source,
                name,
                properties={
                    "name": name,
                    "description": f"the repository at commit {version}",
                    "encodingFormat": "application/x-tar",
                    "sha256": sha256_file(source),
                },
            )
        inputs = [file(config, description="the scale file")]
        inputs += [
            file(STUDIES / f"{study.study}.yaml", description=f"the study {study.study}") for study in studies
        ]
        inputs += [file(lock, description="the locked environment") for lock in LOCKS]
        inputs += [_data(add, name) for name in _datasets(runs)]
        outputs = [file(path) for path in _outputs(runs)]
        file(CITATION)
        file("README.md", about=crate.root_dataset)
        crate.root_dataset["mentions"] = add(
            "#run", "CreateAction", **_action(runs, workflow, inputs, outputs)
        )
        (crate.write_zip if out.suffix == ".zip" else crate.write)(temporary)
    return out


def _check(out: Path, folders: Mapping[str, Path]) -> None:
    if out.exists() and not (out.suffix == ".zip" or (out / METADATA).is_file()):
        raise GauntletError(
            "this is there and is no crate", file=out, remedy="name a new folder, or a .zip file"
        )
    drawn = [str(DRAWN / study) for study in folders if (DRAWN / study).is_dir()]
    checked = verify([*map(str, folders.values()), *drawn])
    if not checked.well:
        raise GauntletError(
            [*checked.altered, *checked.missing][0], remedy="`gauntlet verify` names all; run snakemake again"
        )


def _single(entries: list) -> Any:
    """The entry of a list of one: JSON-LD is read either way, and RO-Crate 1.1 recommends it."""
    return entries[0] if len(entries) == 1 else entries


def _scales(runs: Iterable[Measurements]) -> list[str]:
    return list(dict.fromkeys(run.scale for run in runs))


def _paper(add, study: Study, citation: dict[str, Any]):
    """The study's paper, with the title that ``CITATION.cff`` has for it."""
    paper, number = study.paper, f"arXiv:{study.paper.arxiv}"
    titles = {
        identifier["value"]: reference["title"]
        for reference in citation.get("references", ())
        for identifier in reference.get("identifiers", ())
    }
    return add(
        paper.url or f"#paper-{study.study}",
        "ScholarlyArticle",
        name=titles.get(number, study.title),
        creditText=paper.authors,
        datePublished=str(paper.year),
        **({"identifier": number} if paper.arxiv else {}),
    )


def _source(scratch: Path, version: str) -> Path | None:
    """The repository at its commit as a tar archive; None where this is no checkout of git."""
    if version == "unknown":
        return None
    archive = scratch / f"{version.removesuffix('+dirty')[:12]}.tar"
    subprocess.run(["git", "archive", "--format=tar", "-o", archive, "HEAD"], check=True, capture_output=True)
    return archive


def _datasets(runs: Iterable[Measurements]) -> list[str]:
    used = {cell["dataset"] for run in runs for cell in run.manifest["cells"]}
    return sorted(used & set(registry.names()))


def _data(add, name: str):
    """A data set by its identifiers; its bytes are not in the crate."""
    entry = registry.entry(name)
    hashes = [
        add(
            f"#{entry.folder}/{file}",
            "PropertyValue",
            name=f"{entry.folder}/{file}",
            propertyID="sha256",
            value=digest,
        )
        for file, digest in (entry.prepared or {}).items()
    ]
    addresses = [source.bases[0] for source in entry.sources if isinstance(source, Url)]
    return add(
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
    found += [DRAWN / name for name in (*TOGETHER, f"{TOGETHER[0]}{SIDECAR}")]
    return [path for path in found if path.is_file()]


def _action(runs: list[Measurements], workflow, inputs: list, outputs: list) -> dict[str, Any]:
    steps = [cell[step] for run in runs for cell in run.manifest["cells"] for step in filter(cell.get, STEPS)]
    begun = [(_time(step["started"]), step.get("seconds", 0.0)) for step in steps if step.get("started")]
    commits = sorted({step["commit"] for step in steps if step.get("commit")})
    devices = sorted({step["device"] for step in steps if step.get("device")})
    missing = sum(len(run.missing) for run in runs)
    times = {}
    if begun:
        times["startTime"] = min(start for start, _ in begun).isoformat(timespec="seconds")
        times["endTime"] = max(start + timedelta(seconds=seconds) for start, seconds in begun).isoformat(timespec="seconds")
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


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
