# Shared by all rules: the plan of this run, and functions from wildcards to its cells.
import os
from pathlib import Path

from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import digest_json, write_text
from gauntlet.core import registry
from gauntlet.data import folder as data_folder
from gauntlet.data.registry import illustrated
from gauntlet.models import weights
from gauntlet.plan import make_plan


def resolved_config():
    """The path that commands read their configuration from: the scale file itself, or, when the
    command line changed something, a copy with the changes, named after its content."""
    import yaml

    files = [Path(name) for name in workflow.overwrite_configfiles or workflow.configfiles]
    if len(files) == 1 and yaml.safe_load(files[0].read_text()) == config:
        path = files[0].resolve()  # relative to the root of the repository, where all commands run
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    path = Path(".gauntlet/config") / f"{config['scale']}-{digest_json(config, 8)}.yaml"
    if not path.is_file():
        write_text(path, yaml.safe_dump(dict(config), sort_keys=False))
    return path


def load():
    try:
        path = resolved_config()
        return path, make_plan(config, file=path)
    except GauntletError as error:
        raise WorkflowError(str(error)) from None


CONFIG, PLAN = load()
# Jobs learn it here and not from their command: where a setting is written must not re-run anything.
os.environ.update(GAUNTLET_CONFIG=str(CONFIG))
CELLS = {(cell.name, cell.attack): cell for cell in PLAN.cells()}
TRAINS = PLAN.trained()


def cell_name(family, w):
    return f"{family}/{w.dataset}/{w.architecture}/{w.model}/seeds-{w.block}"


def cell_of(family, wildcards):
    """The cell that a train job works on."""
    return TRAINS[cell_name(family, wildcards)]


def attack_of(family, wildcards):
    """The cell that an attack job works on."""
    return CELLS[cell_name(family, wildcards), f"attack-{wildcards.attack}"]


def needed(cell, step):
    """The weights of other cells that the job of a step reads."""
    return [str(other.weights) for other in cell.needs(step).values()]


def prepared(dataset):
    """The file that appears last when a dataset is prepared."""
    return f"{data_folder(dataset)}/dataset.json"


#: File with ImageNet weights -> the architecture that they are for.
WEIGHTS = {str(weights.path(name)): name for name in registry.names("weights")}


def imagenet(cell):
    """The ImageNet weights that a cell's networks begin with, if any."""
    begun = cell.identity["train"].get("pretrained")
    return [str(weights.path(cell.architecture))] if begun else []


def natural(cell):
    """The prepared dataset whose images a thief has, if any."""
    name = cell.identity["method"].get("natural")
    return [prepared(name)] if name else []


def measured(cell):
    """All tables that the jobs of a cell write."""
    return [str(path) for path in cell.measured().values()]


def gathered(wildcards):
    """A study's tables in the root that figures and claims read."""
    return f"{PLAN.root(wildcards.study)}/manifest.json"


def targets(kind, extension):
    """The files of all figures or tables of the run."""
    return [
        f"paper_figures/{study}/{name}.{extension}"
        for study, plan in PLAN.studies.items()
        for name in getattr(plan.study, kind)
    ]


def declared_in(study, kind):
    """The names of a study's figures or tables."""
    return list(getattr(PLAN.studies[study].study, kind))


def files_of(study, kind, *extensions):
    """The files of a study's figures or tables."""
    return [f"{name}.{extension}" for name in declared_in(study, kind) for extension in extensions]


DATASETS = sorted({cell.dataset for cell in CELLS.values()})
PREPARED = sorted({*map(prepared, DATASETS), *(path for cell in CELLS.values() for path in natural(cell))})
TRAINED = [str(cell.weights) for cell in TRAINS.values()]
MEASURED = [path for cell in CELLS.values() for path in measured(cell)]
STUDIES = list(PLAN.studies)
# Of the datasets that are here, and those that this run fetches.
SHEETS = [
    f"paper_figures/datasets/{name}.webp"
    for name in illustrated()
    if Path(prepared(name)).is_file() or (prepared(name) in PREPARED and PLAN.scale.source == "results")
]
FIGURES = targets("figures", "pdf")
TABLES = targets("tables", "csv")


# For --sdm conda alone; otherwise jobs run in the environment that Snakemake runs in.
ENVIRONMENT = "../../envs/cpu.yaml"


wildcard_constraints:
    dataset=r"[a-z0-9-]+",
    architecture=r"[a-z0-9_]+",
    model=r"[a-z0-9_]+-[0-9a-f]{8}",
    block=r"\d+(-\d+)?",
    attack=r"[0-9a-f]{8}",
    study=r"[a-z][a-z0-9_-]*",


def gather_inputs(study, scale):
    """What must exist before a study is gathered: all of it, or, with `holes`, what there is."""
    plan = PLAN.studies[study]
    if scale != plan.scale:
        raise WorkflowError(f"{study} is planned at scale {plan.scale}, not {scale}")
    if PLAN.scale.holes:
        return [path for row in plan.present()[0] for path in row["tables"].values()]
    return [path for *_, cell in plan.cells for path in measured(cell)]


def studies_of(family):
    """The run's studies of one family."""
    return [name for name, plan in PLAN.studies.items() if plan.study.family == family]


def gather_outputs(family):
    """The files of a gathered study of this family."""
    plan = PLAN.studies[studies_of(family)[0]]
    return ["manifest.json", *(f"{name}.parquet" for name in plan.tables)]


def derived(study):
    """The declarations of a study's derived scores."""
    return [entry.model_dump(mode="json") for entry in PLAN.studies[study].study.derived.values()]


def gather_code(study):
    """Digest of the code that gathers a study and derives its scores."""
    entries = PLAN.studies[study].study.derived.values()
    methods = sorted({("derived", entry.derived) for entry in entries})
    return code_digest("gauntlet.report.gather", methods=tuple(methods))


def gather_params(study):
    """Which cells are gathered under which names; what the study renames is gathered anew."""
    plan = PLAN.studies[study]
    rows, missing = plan.present()
    rows = rows if PLAN.scale.holes else rows + missing
    return sorted([row["setting"], row["method"], *row["steps"].values()] for row in rows)


def drawn(study, kind):
    """The declarations of a study's figures or tables, with what every drawing of the study shows."""
    plan = PLAN.studies[study]
    labels = {key: method.label for key, method in plan.study.methods.items()}
    labels = [labels, plan.study.settings, plan.study.metrics, plan.study.attacks]
    entries = {name: entry.model_dump(mode="json") for name, entry in getattr(plan.study, kind).items()}
    return digest_json([labels, entries, plan.scale])


def drawing_code(study, kind):
    """Digest of the code that draws a study's figures or tables."""
    single = kind.removesuffix("s")
    used = {getattr(entry, single) for entry in getattr(PLAN.studies[study].study, kind).values()}
    return code_digest(f"gauntlet.report.{kind}", methods=tuple((single, name) for name in sorted(used)))


def declared(study):
    """Digest of a study's whole declaration: claims and the report show most of it."""
    return digest_json(PLAN.studies[study].study.model_dump(mode="json"))


def table_methods():
    """Every registered table that the report renders again."""
    used = {entry.table for plan in PLAN.studies.values() for entry in plan.study.tables.values()}
    return tuple(("table", name) for name in sorted(used))
