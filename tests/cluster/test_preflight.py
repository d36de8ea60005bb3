"""What is checked before the first job, on stand-ins for Slurm's commands that say what Slurm 22.05 says."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from gauntlet.cluster import node, orphans, preflight
from gauntlet.core.errors import GauntletError

GPU_JOB = {"slurm_partition": "gpu", "runtime": 240, "mem_mb": 16000, "cpus_per_task": 4, "gpu": 1}
CLUSTER = {
    "sbatch": "exit 0",
    "sinfo": 'case "$*" in *%l*) echo 1-00:00:00;; *) echo "partition gpu: 8 CPUs";; esac',
    "sacctmgr": 'printf "lab1\\nlab2\\n"',
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',  # runs its command here
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Puts these commands on PATH, and no other of Slurm's; each notes its arguments in ``calls``."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    for tool in ("sh", "cat", "mv", "rm", "env"):
        (folder / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(folder))
    (tmp_path / "repository/.gauntlet").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repository")

    def install(**scripts):
        for name, script in {**CLUSTER, **scripts}.items():
            path = folder / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{script}\n')
            path.chmod(0o755)
        return lambda: calls.read_text().splitlines() if calls.exists() else []

    return install


def check(requests, files=(), nodes=False):
    preflight.check(requests, Path("site.yaml"), files, nodes=nodes)


def refusal(*arguments, **options):
    with pytest.raises(GauntletError) as error:
        check(*arguments, **options)
    assert "remedy: " in str(error.value)
    return str(error.value)


def test_each_distinct_request_is_asked_about_once_as_the_plugin_would_submit_it(slurm):
    calls = slurm()
    check(
        {
            "dml_train": GPU_JOB,
            "dml_attack": GPU_JOB,
            "prepare": {**GPU_JOB, "gpu": 0, "slurm_partition": "cpu"},
        }
    )
    common = "--time=240 --mem=16000 --cpus-per-task=4"
    assert [line for line in calls() if line.startswith("sbatch")] == [
        f"sbatch --test-only --partition=gpu {common} --gpus=1 --wrap=true",
        f"sbatch --test-only --partition=cpu {common} --wrap=true",
    ]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"gpu": 2, "gpu_model": "a100"}, ["--gpus=a100:2"]),
        ({"gres": "gpu:1", "gpu": 0}, ["--gres=gpu:1"]),
        ({"slurm_account": "lab1", "qos": "low"}, ["--account=lab1", "--qos=low"]),
        ({"tmpdir": "/tmp", "_cores": 3}, []),
    ],
)
def test_options_are_those_of_sbatch(resources, expected):
    assert preflight.options(resources) == expected


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "sbatch: error: invalid partition: x\nallocation failure: Invalid partition name specified",
            ["resources.dml_train.partition", "Invalid partition name specified", "there is: partition gpu"],
        ),
        (
            "allocation failure: Requested node configuration is not available",
            ["site.yaml: resources.dml_train:", "--gpus=1", "not available"],
        ),
        (
            "sbatch: error: Invalid generic resource (gres) specification",
            ["resources.dml_train:", "Invalid generic resource"],
        ),
        (
            "allocation failure: Invalid account or account/partition combination specified",
            ["Invalid account"],
        ),
        ("allocation failure: Invalid qos specification", ["resources.dml_train.qos", "lab1"]),
        ("allocation failure: Invalid feature specification", ["resources.dml_train.constraint"]),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", ["Unable to contact slurm"]),
    ],
)
def test_a_refused_request_is_one_message_with_the_key_to_change(slurm, error, words):
    slurm(sbatch=f"cat >&2 <<'E'\n{error}\nE\nexit 1")
    message = refusal({"dml_train": GPU_JOB, "dml_attack": GPU_JOB})
    assert all(word in message for word in words), message


def test_an_account_that_is_not_ours_is_refused_before_anything_is_submitted(slurm):
    calls = slurm()
    message = refusal({"dml_train": {**GPU_JOB, "slurm_account": "lab7"}})
    assert "site.yaml: account: Slurm knows no account 'lab7' of yours" in message
    assert "lab1, lab2" in message
    assert not [line for line in calls() if line.startswith("sbatch")]
    check({"dml_train": {**GPU_JOB, "slurm_account": "LAB1"}})  # Slurm's accounts have no case


def test_an_account_where_there_is_no_accounting_is_refused(slurm):
    slurm(sacctmgr="echo You are not running a supported accounting_storage plugin >&2; exit 1")
    assert "set account: null" in refusal({"dml_train": {**GPU_JOB, "slurm_account": "lab1"}})


@pytest.mark.parametrize(("limit", "minutes"), [("2:00:00", 120), ("30:00", 30), ("0-03:59:00", 239)])
def test_a_job_longer_than_its_partition_allows_would_wait_for_ever(slurm, limit, minutes):
    slurm(sinfo=f"echo {limit}")
    assert f"grants {minutes}" in refusal({"dml_train": GPU_JOB})


@pytest.mark.parametrize("limit", ["4:00:00", "1-00:00:00", "infinite"])
def test_a_job_within_its_partitions_limit_is_taken(slurm, limit):
    slurm(sinfo=f"echo {limit}")
    check({"dml_train": GPU_JOB})


def test_without_slurm_the_message_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no Slurm on this machine: sbatch" in refusal({"dml_train": GPU_JOB})


@pytest.fixture
def dataset():
    """A prepared dataset, as far as its name goes; relative to the repository."""
    path = Path("data/digits/dataset.json")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    return str(path)


def test_one_node_of_every_partition_is_compared_and_nothing_is_left_behind(slurm, dataset):
    calls = slurm()
    cpu = {**GPU_JOB, "gpu": 0, "slurm_partition": "cpu"}
    check({"dml_train": GPU_JOB, "dml_attack": GPU_JOB, "privacy_attack": cpu}, [dataset], nodes=True)
    probes = [line for line in calls() if line.startswith("srun")]
    assert len(probes) == 2
    assert "--partition=gpu" in probes[0]
    assert "--gpus=1" in probes[0]
    assert "--gpus" not in probes[1]
    assert [path for path in Path().rglob("*") if path.is_file()] == [Path(dataset)]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("cd /; SHIFT", ["does not see the folder"]),
        ("mv data hidden; SHIFT; mv hidden data", ["does not see", "data/"]),
        ("echo other > data/digits/dataset.json; SHIFT", ["it sees another", "data/digits/dataset.json"]),
        (
            "echo 'slurmstepd: error: execve(): python: No such file or directory' >&2; exit 2",
            ["No such file"],
        ),
        (
            "echo 'srun: error: Unable to allocate resources: Requested partition is down' >&2; exit 1",
            ["is down"],
        ),
    ],
)
def test_a_node_that_sees_other_files_is_found_out(slurm, dataset, script, words):
    run = 'while [ "${1#--}" != "$1" ]; do shift; done; "$@"'
    slurm(srun=script.replace("SHIFT", run))
    message = refusal({"dml_train": GPU_JOB}, [dataset], nodes=True)
    assert "site.yaml: resources.dml_train.partition: " in message
    assert all(word in message for word in words), message


def test_a_node_with_another_environment_is_found_out(slurm, dataset):
    here = node.facts([])
    other = {**here, "host": "far", "environment": {**here["environment"], "torch": "1.0", "gauntlet": "x"}}
    assert node.differences(here, other) == [
        f"torch is 1.0 there and {here['environment']['torch']} here",
        f"gauntlet is x there and {here['environment']['gauntlet']} here",
    ]
    assert node.differences(here, {**here, "host": "far"}) == []


def test_facts_of_another_process_are_those_of_this_one(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.chdir(tmp_path)
    Path("here").write_text("x")
    command = [sys.executable, "-m", node.__name__, "here", "gone"]
    there = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert there == node.facts(["here", "gone"])
    assert there["files"]["gone"] is None


RUN = "12345678-1234-1234-1234-123456789abc"


def test_only_jobs_of_this_folder_that_snakemake_named_are_orphans(slurm, tmp_path):
    here = os.getcwd()
    rows = [
        f"11|{RUN}|rule_dml_train_wildcards_x|{here}",
        f"12|lab_{RUN}|rule_cells_gpu|{here}",
        f"13|{RUN}|rule_dml_train|{here}/other",
        f"14|my-job|rule_of_mine|{here}",
        f"15|{RUN}|(null)|{here}",
    ]
    Path("queue").write_text("\n".join(rows) + "\n")
    calls = slurm(squeue="cat queue", scancel=": > queue")
    assert orphans.find() == ["11", "12"]
    assert orphans.cancel() == ["11", "12"]
    assert [line for line in calls() if line.startswith("scancel")] == ["scancel 11 12"]
    assert orphans.cancel() == []


def test_orphans_that_do_not_end_stop_the_run(slurm):
    Path("queue").write_text(f"11|{RUN}|rule_x|{os.getcwd()}\n")
    slurm(squeue="cat queue", scancel="exit 0")
    with pytest.raises(GauntletError, match=r"do not end: 11\n  remedy: "):
        orphans.cancel(seconds=0)


def test_a_controller_that_does_not_answer_is_one_message(slurm):
    slurm(squeue="echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(GauntletError, match=r"Slurm does not answer: .*Unable to contact"):
        orphans.cancel()
