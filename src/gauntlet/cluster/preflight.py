"""Before the first job: would Slurm take these jobs, and do its nodes see what this host sees?

Each distinct request is asked about once, so that a wrong partition is one message here and not one failure
per cell.
"""

from __future__ import annotations

import getpass
import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gauntlet.cluster import node
from gauntlet.cluster.slurm import call, minutes, sentence
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_text

#: What a job's resources are called -> the option of sbatch and srun.
OPTIONS = {
    "slurm_account": "--account",
    "slurm_partition": "--partition",
    "runtime": "--time",
    "mem_mb": "--mem",
    "cpus_per_task": "--cpus-per-task",
    "gres": "--gres",
    "constraint": "--constraint",
    "qos": "--qos",
}
#: Words of Slurm's refusal -> the key of the site file, and a command that shows what there is.
CAUSES = {
    "partition": ("resources.{rule}.partition", ("sinfo", "-h", "-o", "partition %R")),
    "account": ("account", ("sacctmgr", "-nP", "list", "assoc", "user={user}", "format=account")),
    "qos": ("resources.{rule}.qos", ("sacctmgr", "-nP", "list", "assoc", "user={user}", "format=qos")),
    "feature": ("resources.{rule}.constraint", ("sinfo", "-h", "-p", "{partition}", "-o", "%n: %f")),
    "": (
        "resources.{rule}",
        ("sinfo", "-h", "-p", "{partition}", "-o", "partition %R: %c CPUs, %m MB, GPUs %G, time limit %l"),
    ),
}


def check(
    requests: Mapping[str, Mapping[str, Any]], site: Path, files: Iterable[str], nodes: bool = True
) -> None:
    """Ask Slurm about the jobs that are to be submitted.

    Args:
        requests: rule -> the resources of its jobs, in the names of Snakemake's Slurm plugin.
        site: the site file, for the messages.
        files: prepared datasets (``data/digits/dataset.json``). Those that are not there yet are left out,
            but not the folder that they will be in.
        nodes: run a short job in every partition too.

    Raises:
        GauntletError: an account, a partition, a GPU or another request is refused; a node sees other files
            or another environment than this host.
    """
    distinct: dict[tuple[str, ...], str] = {}
    for rule, resources in requests.items():
        distinct.setdefault(tuple(options(resources)), rule)
    for account in {str(r["slurm_account"]): None for r in requests.values() if r.get("slurm_account")}:
        _check_account(account, site)
    for asked, rule in distinct.items():
        _check_request(rule, list(asked), requests[rule], site)
    if nodes:
        probed: dict[Any, tuple[str, Mapping[str, Any]]] = {}
        for rule, resources in requests.items():
            probed.setdefault(resources.get("slurm_partition"), (rule, resources))
        for partition, (rule, resources) in probed.items():
            _check_node(partition, rule, resources, site, list(files))


def options(resources: Mapping[str, Any]) -> list[str]:
    """The options of sbatch that stand for a job's resources, as the plugin writes them."""
    found = [f"{option}={resources[name]}" for name, option in OPTIONS.items() if resources.get(name)]
    if resources.get("gpu"):
        model = resources.get("gpu_model")
        found.append(f"--gpus={model}:{resources['gpu']}" if model else f"--gpus={resources['gpu']}")
    return found


def _check_account(account: str, site: Path) -> None:
    done = call("sacctmgr", "-nP", "list", "assoc", f"user={getpass.getuser()}", "format=account")
    if done.returncode:
        raise GauntletError(
            f"account {account!r} cannot be looked up, so no job would be submitted: {sentence(done.stderr)}",
            file=site,
            key="account",
            remedy="set account: null, unless Slurm itself asks for one",
        )
    known = sorted(set(done.stdout.split()))
    if known and account.lower() not in known:
        raise GauntletError(
            f"Slurm knows no account {account!r} of yours",
            file=site,
            key="account",
            remedy=f"yours: {', '.join(known)}",
        )


def _check_request(rule: str, asked: list[str], resources: Mapping[str, Any], site: Path) -> None:
    done = call("sbatch", "--test-only", *asked, "--wrap=true")
    partition = str(resources.get("slurm_partition") or "")
    if done.returncode:
        _refuse(rule, partition, sentence(done.stderr), asked, site)
    most = minutes(call("sinfo", "-h", "-p", partition, "-o", "%l").stdout.strip()) if partition else None
    # Unless its administrator told it otherwise, Slurm lets such a job wait for ever.
    if most and resources.get("runtime", 0) > most:
        raise GauntletError(
            f"jobs of {rule} ask for {resources['runtime']} minutes; partition {partition} grants {most:.0f}",
            file=site,
            key=f"resources.{rule}.runtime",
            remedy=f"set runtime and max_runtime to at most {most:.0f}, or take another partition",
        )


def _refuse(rule: str, partition: str, words: str, asked: list[str], site: Path) -> None:
    key, show = next(cause for word, cause in CAUSES.items() if word in words.lower())
    names = {"rule": rule, "partition": partition, "user": getpass.getuser()}
    there = call(*(word.format(**names) for word in show)).stdout.split("\n")
    there = sorted({line for line in there if line})
    raise GauntletError(
        f"Slurm refuses the jobs of {rule} ({' '.join(asked)}): {words}",
        file=site,
        key=key.format(**names),
        remedy=f"there is: {'; '.join(there)}" if there else "ask `sinfo`",
    )


def _check_node(
    partition: str, rule: str, resources: Mapping[str, Any], site: Path, files: list[str]
) -> None:
    folders = {Path(".gauntlet"), *(Path(name).parents[1] for name in files)}
    tokens = [folder / f".token-{uuid.uuid4().hex}" for folder in folders if folder.is_dir()]
    for token in tokens:
        write_text(token, token.name)
    here = node.facts([*map(str, tokens), *(name for name in files if Path(name).is_file())])
    asked = options({**resources, "runtime": 5, "mem_mb": 500, "cpus_per_task": 1})
    print(f"checking a node of partition {partition}; this waits for its turn there ...", file=sys.stderr)
    try:
        done = call(
            "srun",
            "--job-name=gauntlet-check",
            "--ntasks=1",
            *asked,
            sys.executable,
            "-m",
            node.__name__,
            *here["files"],
            seconds=None,
        )
    finally:
        for token in tokens:
            token.unlink()
    try:
        there = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise GauntletError(
            f"a node of partition {partition} cannot run gauntlet: {sentence(done.stderr)}",
            file=site,
            key=f"resources.{rule}.partition",
            remedy=f"put the repository ({Path.cwd()}) and its environment ({sys.prefix}) on a file system"
            " that this host and the nodes share; load the same modules on both",
        ) from None
    if differing := node.differences(here, there):
        raise GauntletError(
            f"node {there['host']} of partition {partition} differs from this host: {'; '.join(differing)}",
            file=site,
            key=f"resources.{rule}.partition",
            remedy="nodes must see the files of this host and run the same environment (docs/cluster.md)",
        )
