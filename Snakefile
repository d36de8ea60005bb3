# Gauntlet: data -> train -> attack -> measurements -> figures, tables, claims -> report.
# Rules hold no science: each calls one `gauntlet` command that a person can paste into a shell.
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.20")


# A command takes the place of the shell that starts it. When Slurm ends a job it tells every process, and a shell
# ends at once: its command would be killed with it, before it has saved its state.
shell.prefix("set -euo pipefail; exec ")


# An explicit --configfile replaces the default scale as a whole; it is not merged into it.
if "scale" not in config:

    configfile: "config/mini.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/dml.smk"
include: "workflow/rules/classifier.smk"
include: "workflow/rules/federated.smk"
include: "workflow/rules/stealing.smk"
include: "workflow/rules/distilled.smk"
include: "workflow/rules/inversion.smk"
include: "workflow/rules/shadows.smk"
include: "workflow/rules/privacy.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/cluster.smk"


onstart:
    from gauntlet.status.run import write

    write(CONFIG, workflow.cores, "slurm" if workflow.executor_plugin.name == "slurm" else None)
    if workflow.executor_plugin.name == "slurm":
        before_slurm()


# ---- named targets ---------------------------------------------------------------------------------


rule all:
    default_target: True
    input:
        rules.report.output,
        rules.track.output if PLAN.scale.source == "results" else [],


rule data:
    input:
        PREPARED,


rule models:
    input:
        TRAINED,


rule measurements:
    input:
        MEASURED,


rule figures:
    input:
        FIGURES,


rule tables:
    input:
        TABLES,
