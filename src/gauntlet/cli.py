"""The command line: one thin command per step of the pipeline.

Heavy imports happen inside the commands, so that ``gauntlet --help`` and argument errors are instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gauntlet.core.errors import GauntletError

if TYPE_CHECKING:
    from gauntlet.cell import Cell

app = typer.Typer(
    help="Re-run machine-learning security papers and judge their claims.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Get, check and list datasets.", no_args_is_help=True)
models_app = typer.Typer(help="Get ImageNet weights.", no_args_is_help=True)
study_app = typer.Typer(help="One study's measurements, figures and tables.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(study_app, name="study")

Config = Annotated[
    Path, typer.Option(envvar="GAUNTLET_CONFIG", help="The scale file, e.g. config/mini.yaml.")
]
CellName = Annotated[str, typer.Option(help="FAMILY/DATASET/ARCHITECTURE/MODEL/seeds-BLOCK.")]
AttackName = Annotated[str | None, typer.Option(help="attack-HASH, when studies attack a cell differently.")]
Threads = Annotated[int, typer.Option(help="CPU threads; one is best for small nets.")]
Gpus = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that share the training, one GPU each; else as the grid says."),
]
Device = Annotated[str, typer.Option(envvar="GAUNTLET_DEVICE", help="auto, cpu, cuda or cuda:N.")]


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument(help="Datasets of the registry.")]) -> None:
    """Get datasets, verify them and bring them into the prepared form."""
    from gauntlet.data import commands

    commands.fetch(names)


@data_app.command("list")
def data_list() -> None:
    """Every dataset with its state on this machine."""
    from gauntlet.data import commands

    for row in commands.status():
        typer.echo("  ".join(str(value) for value in row.values()))


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str], typer.Argument(help="Prepared datasets.")],
    dvc: Annotated[
        bool, typer.Option("--dvc", help="Their objects too, in DVC's cache and in remotes that are folders.")
    ] = False,
) -> None:
    """Hash prepared datasets again and compare with the registry."""
    from gauntlet.data import commands

    commands.verify(names, dvc=dvc)


@data_app.command("sheet")
def data_sheet(
    name: Annotated[str, typer.Argument(help="A prepared dataset.")],
    out: Annotated[Path | None, typer.Option(help="paper_figures/datasets/NAME.webp when absent.")] = None,
) -> None:
    """Draw a sheet of samples of a prepared dataset, after verifying it."""
    from gauntlet.data import sheet

    typer.echo(sheet.draw(name, out or Path(f"paper_figures/datasets/{name}.webp")))


@models_app.command("fetch")
def models_fetch(
    architectures: Annotated[list[str], typer.Argument(help="Files of src/gauntlet/models/weights/.")],
) -> None:
    """Get the ImageNet weights of architectures, verify them and convert them to safetensors."""
    from gauntlet.core.registry import module_path
    from gauntlet.models.weights.fetch import fetch

    for architecture in architectures:  # all names are checked first
        module_path("weights", architecture)
    for architecture in architectures:
        fetch(architecture)


#: Family -> what its command group does, and each of its steps.
FAMILIES = {
    "dml": (
        "Deep metric learning: train and attack one cell.",
        {
            "train": "Train the models of one cell, one for every seed of its block.",
            "attack": "Attack the models of one cell and measure them.",
        },
    ),
    "classifier": (
        "Classifiers: train and attack one cell.",
        {
            "train": "Train one cell's classifiers, one for every seed of its block, and calibrate them.",
            "attack": "Attack the classifiers of one cell and measure them.",
        },
    ),
    "federated": (
        "Federated learning: train and measure one cell.",
        {
            "train": "Train one cell's global models, one for every seed of its block, and measure every "
            "round.",
        },
    ),
    "stealing": (
        "Model stealing: train and judge the substitutes of one cell.",
        {
            "train": "Steal from one cell's targets, one for every seed of its block, through their answers "
            "alone.",
            "attack": "Judge the substitutes of one cell, and try attacks on them on the targets.",
        },
    ),
    "distilled": (
        "Federated learning by distilled data: train and measure one cell.",
        {
            "train": "Distil one cell's clients and train on what they share, for every seed of its block, "
            "round by round.",
        },
    ),
    "inversion": (
        "Gradient inversion: capture the updates of one cell, and attack them.",
        {
            "train": "Simulate one cell's federations, one for every seed of its block, and keep what their "
            "server sees.",
            "attack": "Reconstruct the images behind one cell's updates, and compare them with the clients'.",
        },
    ),
    "shadows": (
        "Shadow models: train those of one cell.",
        {
            "train": "Train models on random halves of a federation's candidates, for every seed of a block.",
        },
    ),
    "privacy": (
        "Privacy of trained federations: measure one cell.",
        {
            "attack": "Ask one cell's federations who was in their data, and what their task had no need of.",
        },
    ),
}


@contextmanager
def _at_work(cell: Cell, step: str) -> Iterator[None]:
    """One job at a time per step of a cell, seen by `gauntlet status`."""
    from gauntlet.core.lock import alone
    from gauntlet.core.pulse import beating

    with alone(cell.lock(step)), beating(cell.pulse(step), keep=cell.steps[step] / "system.jsonl"):
        yield


def _train(family: str):
    def train(
        config: Config,
        cell: CellName,
        device: Device = "auto",
        threads: Threads = 1,
        gpus: Gpus = None,
    ) -> None:
        from gauntlet.cell import family_settings
        from gauntlet.core import devices, processes
        from gauntlet.plan import load_plan

        found = load_plan(config).cell(cell)
        settings = family_settings(family)
        if (gpus or 1) > 1 and not getattr(settings, "SHARED", False):
            raise GauntletError(
                f"trainings of family {family} are not shared", key="--gpus", remedy="leave it out"
            )
        where = devices.setup(device, threads, tf32=getattr(settings, "TF32", False))
        if processes.joined():
            where = processes.join(where)
        elif (together := devices.sharing(where, gpus, found.gpus)) > 1:
            processes.together(together, sys.argv)
        with _at_work(found, "train") if processes.leader() else nullcontext():
            import_module(f"gauntlet.families.{family}.train").run(
                found.identity,
                found.seeds,
                found.train_folder,
                found.state_folder,
                where,
                **{name: other.weights for name, other in found.needs("train").items()},
            )

    return train


def _attack(family: str):
    def attack(
        config: Config,
        cell: CellName,
        attack: AttackName = None,
        device: Device = "auto",
        threads: Threads = 1,
    ) -> None:
        from gauntlet.core import devices
        from gauntlet.plan import load_plan

        found = load_plan(config).cell(cell, attack)
        with _at_work(found, "attack"):
            where = devices.setup(device, threads)
            import_module(f"gauntlet.families.{family}.evaluate").run(
                found.identity,
                found.evaluate,
                found.seeds,
                out=found.attack_folder,
                device=where,
                state=found.state_folder,
                **({"model": found.weights} if "train" in found.steps else {}),
                **{name: other.weights for name, other in found.needs("attack").items()},
            )

    return attack


for _family, (_help, _steps) in FAMILIES.items():
    _group = typer.Typer(help=_help, no_args_is_help=True)
    for _step, _what in _steps.items():
        _group.command(_step, help=_what)({"train": _train, "attack": _attack}[_step](_family))
    app.add_typer(_group, name=_family)


@study_app.command("gather")
def study_gather(study: str, config: Config) -> None:
    """Collect the measurements of a study's cells into one set of tables with a manifest."""
    from gauntlet.plan import load_plan
    from gauntlet.report import gather

    plan = load_plan(config)
    part = plan.part(study)
    cells, missing = part.present()
    if missing and not plan.scale.holes:
        raise GauntletError(
            f"{len(missing)} of {len(cells) + len(missing)} cells have no measurements,"
            f" e.g. {list(missing[0]['tables'].values())[-1]}",
            remedy="run snakemake, or set holes: true to draw what is there",
        )
    gather.gather(
        cells,
        part.results,
        study,
        plan.scale.scale,
        missing,
        tables=part.tables,
        derived=part.study.derived,
    )


@study_app.command("publish")
def study_publish(
    study: str,
    config: Config,
    add: Annotated[
        bool, typer.Option("--add", help="Keep published cells that this run has not measured.")
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option(help="A table to leave out (repeat for more): at most 5 MB a study.")
    ] = None,
) -> None:
    """Copy a study's gathered measurements to published/, to be committed to git."""
    from gauntlet.plan import load_plan
    from gauntlet.report.publish import publish

    part = load_plan(config).part(study)
    publish(part.results, part.published, add=add, without=without or (), derived=part.study.derived)
    typer.echo(f"published {part.published}: commit it")


@study_app.command("push")
def study_push(study: str, config: Config) -> None:
    """Push a study's weights and measurements to the DVC remote, for other clones."""
    from gauntlet import runs
    from gauntlet.plan import load_plan

    pin, count = runs.push(load_plan(config), study)
    typer.echo(f"pushed {count} outputs: commit {pin} and {pin.parent / '.gitignore'}")


@study_app.command("pull")
def study_pull(study: str, config: Config) -> None:
    """Pull the weights and measurements that a study lacks here; Snakemake goes on from them."""
    from gauntlet import runs
    from gauntlet.plan import load_plan

    typer.echo(f"brought {runs.pull(load_plan(config), study)} outputs")


OneOf = Annotated[str | None, typer.Argument(help="One of them; all when absent.")]


@study_app.command("figure")
def study_figure(study: str, config: Config, name: OneOf = None) -> None:
    """Draw figures as PDF, PNG and the CSV behind them."""
    from gauntlet.plan import load_plan
    from gauntlet.report import figures

    plan = load_plan(config)
    part = plan.part(study)
    names = [name] if name else part.study.figures
    figures.draw_all(part.file, names, plan.root(study), Path("paper_figures") / study)


@study_app.command("table")
def study_table(study: str, config: Config, name: OneOf = None) -> None:
    """Write tables as CSV, Markdown and LaTeX."""
    from gauntlet.plan import load_plan
    from gauntlet.report import tables

    plan = load_plan(config)
    part = plan.part(study)
    names = [name] if name else part.study.tables
    tables.write_all(part.file, names, plan.root(study), Path("paper_figures") / study)


@app.command()
def claims(
    config: Config,
    strict: Annotated[bool, typer.Option(help="Exit with 1 unless every measured claim holds.")] = False,
) -> None:
    """Judge every claim of the run and write paper_figures/claims.json."""
    from gauntlet.plan import load_plan
    from gauntlet.report.claims import board

    plan = load_plan(config)
    roots = [(part.file, plan.root(name)) for name, part in plan.studies.items()]
    judged = board.judge_all(roots, "paper_figures/claims.json")
    for line in board.summary(judged):
        typer.echo(line)
    if strict and not board.strict(judged):
        raise typer.Exit(1)


@app.command()
def trace(
    target: Annotated[
        str, typer.Argument(help="A figure or table, a line of it, a claim, or a study.", metavar="WHAT")
    ],
    where: Annotated[
        list[str] | None, typer.Argument(help="Which rows or trials.", metavar="COLUMN=VALUE")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--from", help="Gathered measurements, such as published/eat/desk; else found."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The scale file of the run; config/<scale>.yaml when absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, for programs.")] = False,
) -> None:
    """What a figure, a claim or a number came from: measurements, trials, commits, weights, data, commands.

    \b
    gauntlet trace paper_figures/eat/budget.pdf    a figure or table
    gauntlet trace eat/budget method=at            those of its rows
    gauntlet trace eat/budget:12                   line 12 of its CSV
    gauntlet trace EAT-2                           a claim
    gauntlet trace eat method=at seed=3 attack=worst    scores
    gauntlet trace fedemd table=rounds round=4 label=7  another table
    """
    from gauntlet.plan import rows_of
    from gauntlet.report.provenance import commands

    def rows(study: str, scale: str) -> list[dict]:
        return rows_of(study, scale, config)

    typer.echo(commands.trace(target, where or [], folder=folder, config=config, as_json=as_json, rows=rows))


@app.command()
def verify(
    what: Annotated[
        list[str] | None, typer.Argument(help="Studies or paths; everything when absent.")
    ] = None,
) -> None:
    """Hash data, weights, measurements and figures again, and compare with what was recorded of them.

    Names what does not match, what is missing, and what nothing recorded. Exits with 1 when a file does not
    match or is missing.
    """
    from gauntlet.report.provenance import commands

    def progress(files: list[Path]):
        with typer.progressbar(files, label=f"hashing {len(files)} files", file=sys.stderr) as bar:
            yield from bar

    text, well = commands.verify(what or (), progress)
    typer.echo(text)
    if not well:
        raise typer.Exit(1)


@app.command()
def crate(
    out: Annotated[Path, typer.Argument(help="A new folder, or a file that ends in .zip.")],
    config: Config = Path("config/mini.yaml"),
    study: Annotated[str | None, typer.Option(help="One study; all of the scale when absent.")] = None,
) -> None:
    """Pack a finished run for an archive: an RO-Crate with workflow, configuration, measurements and figures.

    Data sets are not in it, but their hashes, licences and sources are.
    """
    from gauntlet.core.config import load_yaml
    from gauntlet.plan import make_plan
    from gauntlet.report.provenance import crate

    plan = make_plan(load_yaml(config) | ({"study": study} if study else {}), file=config)
    typer.echo(crate.build(out, {name: plan.root(name) for name in plan.studies}, config))


@app.command()
def cite(
    studies: Annotated[list[str] | None, typer.Argument(help="Studies; all when absent.")] = None,
) -> None:
    """BibTeX of this software and of the papers of studies."""
    from gauntlet.report.provenance.cite import bibtex

    typer.echo(bibtex(studies or ()))


@app.command()
def track(
    config: Config,
    out: Annotated[Path | None, typer.Option(help="Write what was ingested to this JSON file.")] = None,
) -> None:
    """Copy every finished trial into MLflow (MLFLOW_TRACKING_URI, or sqlite:///mlflow.db)."""
    from gauntlet import registered
    from gauntlet.core.files import read_json, write_json
    from gauntlet.plan import load_plan
    from gauntlet.report import tracking

    plan = load_plan(config)
    folder = Path("paper_figures")
    judged = read_json(folder / "claims.json")["studies"] if (folder / "claims.json").is_file() else {}
    summary = {}
    for name, part in plan.studies.items():
        found = judged.get(name, {})
        ours = found.get("scale") == plan.scale.scale  # what was judged, and drawn, last
        summary[name] = tracking.track(
            name,
            plan.scale.scale,
            part.present()[0],
            reused=registered.rows(part),
            drawn=tracking.Drawn(part.study.title, folder / name, found["claims"]) if ours else None,
        )
    if out:
        write_json(out, summary)
    for found in summary.values():
        typer.echo({key: value for key, value in found.items() if key != "runs"})


@app.command()
def report(
    config: Config,
    against: Annotated[
        Path | None, typer.Option(help="A copy of an earlier run (results/ or published/) to compare with.")
    ] = None,
) -> None:
    """Write paper_figures/index.html from figures, tables, claims and provenance."""
    from gauntlet.costs import against as spent
    from gauntlet.costs import rates
    from gauntlet.plan import load_plan
    from gauntlet.report import html

    plan = load_plan(config)
    out = Path("paper_figures")
    found, _ = rates.measured()
    html.build(
        [
            html.Source(
                part.file,
                plan.root(name),
                out / name,
                part.references(),
                [row._asdict() for row in spent.compare(found, plan.root(name))],
                part.settings(),
            )
            for name, part in plan.studies.items()
        ],
        out / "index.html",
        against=against,
    )


@app.command()
def plan(
    config: Config,
    study: Annotated[str | None, typer.Option(help="One study; all of the scale when absent.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; the site file's when absent.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="slurm: the cluster of the site file; this machine when absent.")
    ] = None,
    speedup: Annotated[
        float | None,
        typer.Option(min=0.001, help="Assume that a GPU is so many times as fast as the measured device."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Part of a measured device's name; that with most jobs when absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Seconds and bytes, for programs.")] = False,
) -> None:
    """What a run will cost, and what stands in its way: jobs, core- and GPU-hours, wall time, disk, data.

    Hours are scaled from measured jobs (published/ and results/studies/) by what each job has to do; what
    nobody has measured is named and not in the sums. Data, free disk and a cluster's partitions are checked.
    Nothing is run or submitted. Exits with 1 when the run cannot work as configured.
    """
    from gauntlet.core.config import load_yaml
    from gauntlet.costs import planned
    from gauntlet.plan import make_plan

    content = load_yaml(config) | ({"study": study} if study else {})
    text, works = planned.run(
        make_plan(content, file=config),
        jobs=jobs,
        profile=profile,
        speedup=speedup,
        device=device,
        as_json=as_json,
    )
    typer.echo(text)
    if not works:
        raise typer.Exit(1)


@app.command()
def reproduce(
    config: Config = Path("config/mini.yaml"),
    study: Annotated[str | None, typer.Option(help="One study; all of the scale when absent.")] = None,
    cores: Annotated[int, typer.Option(help="Jobs at once.")] = os.cpu_count() or 1,
) -> None:
    """Run the whole pipeline, then print every verdict and where the report is.

    Exits with 0 when everything ran, whatever the verdicts. When trials failed, the rest is drawn all
    the same, the failures are printed with the command that reruns them, and the exit status is 1.
    """
    from gauntlet import reproduce as pipeline

    raise typer.Exit(pipeline.run(config, study, cores))


@app.command()
def status(
    config: Annotated[
        Path | None, typer.Option(help="The scale file; that of the run begun last when absent.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="One study; all of the run when absent.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking until everything is done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Where a run stands: stages, trials, what is at work, what failed, how long it may still take.

    Reads files alone, so it may be asked from any terminal, beside any run, here or on a cluster.
    """
    from gauntlet.status import asked

    asked.run(config, study, watch=watch, as_json=as_json)


@app.command()
def schema() -> None:
    """Write the JSON schemas of the configuration files to workflow/schemas/ (for editors)."""
    from gauntlet import schemas

    for path in schemas.write(Path("workflow/schemas")):
        typer.echo(path)


def main() -> None:
    """Entry point: a GauntletError becomes one message and exit status 2."""
    try:
        app()
    except GauntletError as error:
        print(f"gauntlet: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
