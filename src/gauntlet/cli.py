"""The command line: one thin command per step of the pipeline.

Heavy imports happen inside the commands, so that ``gauntlet --help`` and argument errors are instant.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from gauntlet.core.errors import GauntletError

app = typer.Typer(
    help="Re-run machine-learning security papers and judge their claims.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Get, check and list datasets.", no_args_is_help=True)
models_app = typer.Typer(help="Get ImageNet weights.", no_args_is_help=True)
dml_app = typer.Typer(help="Deep metric learning: train and attack one cell.", no_args_is_help=True)
classifier_app = typer.Typer(help="Classifiers: train and attack one cell.", no_args_is_help=True)
federated_app = typer.Typer(help="Federated learning: train and measure one cell.", no_args_is_help=True)
stealing_app = typer.Typer(
    help="Model stealing: train and judge the substitutes of one cell.", no_args_is_help=True
)
study_app = typer.Typer(help="One study's measurements, figures and tables.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(dml_app, name="dml")
app.add_typer(classifier_app, name="classifier")
app.add_typer(federated_app, name="federated")
app.add_typer(stealing_app, name="stealing")
app.add_typer(study_app, name="study")

Config = Annotated[
    Path, typer.Option(envvar="GAUNTLET_CONFIG", help="The scale file, e.g. config/mini.yaml.")
]
CellName = Annotated[str, typer.Option(help="FAMILY/DATASET/ARCHITECTURE/MODEL/seeds-BLOCK.")]
AttackName = Annotated[str | None, typer.Option(help="attack-HASH, when studies attack a cell differently.")]
Threads = Annotated[int, typer.Option(help="CPU threads; one is best for small nets.")]
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
def data_verify(names: Annotated[list[str], typer.Argument(help="Prepared datasets.")]) -> None:
    """Hash prepared datasets again and compare with the registry."""
    from gauntlet.data import commands

    commands.verify(names)


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


@dml_app.command("train")
def dml_train(config: Config, cell: CellName, device: Device = "auto", threads: Threads = 1) -> None:
    """Train the models of one cell, one for every seed of its block."""
    _train("dml", config, cell, device, threads)


@dml_app.command("attack")
def dml_attack(
    config: Config, cell: CellName, attack: AttackName = None, device: Device = "auto", threads: Threads = 1
) -> None:
    """Attack the models of one cell and measure them."""
    _attack("dml", config, cell, attack, device, threads)


@classifier_app.command("train")
def classifier_train(config: Config, cell: CellName, device: Device = "auto", threads: Threads = 1) -> None:
    """Train one cell's classifiers, one for every seed of its block, and calibrate them."""
    _train("classifier", config, cell, device, threads)


@classifier_app.command("attack")
def classifier_attack(
    config: Config, cell: CellName, attack: AttackName = None, device: Device = "auto", threads: Threads = 1
) -> None:
    """Attack the classifiers of one cell and measure them."""
    _attack("classifier", config, cell, attack, device, threads)


@federated_app.command("train")
def federated_train(config: Config, cell: CellName, device: Device = "auto", threads: Threads = 1) -> None:
    """Train one cell's global models, one for every seed of its block, and measure every round."""
    _train("federated", config, cell, device, threads)


@stealing_app.command("train")
def stealing_train(config: Config, cell: CellName, device: Device = "auto", threads: Threads = 1) -> None:
    """Steal from one cell's targets, one for every seed of its block, through their answers alone."""
    _train("stealing", config, cell, device, threads)


@stealing_app.command("attack")
def stealing_attack(
    config: Config, cell: CellName, attack: AttackName = None, device: Device = "auto", threads: Threads = 1
) -> None:
    """Judge the substitutes of one cell, and try attacks on them on the targets."""
    _attack("stealing", config, cell, attack, device, threads)


def _train(family: str, config: Path, cell: str, device: str, threads: int) -> None:
    from gauntlet.core import devices
    from gauntlet.plan import load_plan

    found = load_plan(config).cell(cell)
    where = devices.setup(device, threads)
    train = import_module(f"gauntlet.families.{family}.train")
    train.run(
        found.identity,
        found.seeds,
        found.train_folder,
        found.state_folder,
        where,
        **{name: other.weights for name, other in found.needs("train").items()},
    )


def _attack(family: str, config: Path, cell: str, attack: str | None, device: str, threads: int) -> None:
    from gauntlet.core import devices
    from gauntlet.plan import load_plan

    found = load_plan(config).cell(cell, attack)
    where = devices.setup(device, threads)
    evaluate = import_module(f"gauntlet.families.{family}.evaluate")
    evaluate.run(
        found.identity,
        found.evaluate,
        found.seeds,
        found.weights,
        found.attack_folder,
        where,
        state=found.state_folder,
        **{name: other.weights for name, other in found.needs("attack").items()},
    )


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


@study_app.command("figure")
def study_figure(study: str, name: str, config: Config) -> None:
    """Draw one figure as PDF, PNG and the CSV behind it."""
    from gauntlet.plan import load_plan
    from gauntlet.report import figures

    plan = load_plan(config)
    figures.draw(plan.part(study).file, name, plan.root(study), Path("paper_figures") / study / name)


@study_app.command("table")
def study_table(study: str, name: str, config: Config) -> None:
    """Write one table as CSV, Markdown and LaTeX."""
    from gauntlet.plan import load_plan
    from gauntlet.report import tables

    plan = load_plan(config)
    tables.write(plan.part(study).file, name, plan.root(study), Path("paper_figures") / study / name)


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
def track(
    config: Config,
    out: Annotated[Path | None, typer.Option(help="Write what was ingested to this JSON file.")] = None,
) -> None:
    """Copy every finished trial into MLflow (MLFLOW_TRACKING_URI, or sqlite:///mlflow.db)."""
    from gauntlet.core.files import write_json
    from gauntlet.plan import load_plan
    from gauntlet.report import tracking

    plan = load_plan(config)
    summary = {
        name: tracking.track(name, plan.scale.scale, part.present()[0]) for name, part in plan.studies.items()
    }
    if out:
        write_json(out, summary)
    typer.echo(summary)


@app.command()
def report(config: Config) -> None:
    """Write paper_figures/index.html from figures, tables, claims and provenance."""
    from gauntlet.plan import load_plan
    from gauntlet.report import html

    plan = load_plan(config)
    out = Path("paper_figures")
    html.build(
        [
            html.Source(
                part.file,
                plan.root(name),
                out / name,
                part.references(),
            )
            for name, part in plan.studies.items()
        ],
        out / "index.html",
    )


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
