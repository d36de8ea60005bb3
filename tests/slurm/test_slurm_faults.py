"""A training job and the job that attacks its model, disturbed by what happens on clusters. Each run ends in
the bytes of a calm one on no cluster.

All faults are injected before the first test looks at what came of them, side by side: runs wait more than
they work.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from runs import Run

pytestmark = [pytest.mark.slow, pytest.mark.needs("root", "slurm"), pytest.mark.xdist_group("slurm")]

STATE = ".gauntlet/state/dml/**/seed-*.state"
EPOCHS = 300


def site(train=None, **default):
    asked = {"partition": "cpu", "runtime": 10, "mem_mb": 1500, "cpus": 1, **default}
    return {"check_nodes": False, "resources": {"default": asked, "train": train or {}}}


def slurm(*command):
    """Run a command of Slurm's; once more where it meets the controller's restart."""
    for _ in range(20):
        if not subprocess.run(command, capture_output=True, timeout=60).returncode:
            return
        time.sleep(1)
    raise AssertionError(f"{command} was refused")


def in_training(run: Run) -> str:
    """Wait until the training job has left a state; returns its id."""
    run.wait(lambda: run.find(STATE))
    return run.wait(lambda: run.jobs())[0]


def hold(run: Run) -> None:
    """Stop the training process, or it might be ready before its fault. Slurm wakes it to end it."""
    for process in run.training():
        os.kill(process, signal.SIGSTOP)


def submitted(run: Run) -> list[str]:
    return re.findall(r"has been submitted with SLURM jobid (\d+)", run.log)


def log_of_training(run: Run) -> str:
    try:
        return run.find("logs/dml/**/train.log").read_text(errors="replace")
    except (AttributeError, FileNotFoundError):  # Snakemake deletes it before a new attempt
        return ""


def cancelled(run, cluster):
    job = in_training(run.start())
    slurm("scancel", job)
    run.finish()
    assert "SLURM status is: 'CANCELLED'" in run.log
    assert len(submitted(run)) == 3
    assert "saved on SIGTERM" in log_of_training(run)


def requeued(run, cluster):
    job = in_training(run.start())
    slurm("scontrol", "requeue", job)
    run.finish()
    assert submitted(run)[0] == job
    assert len(submitted(run)) == 2
    assert "saved on SIGTERM" in log_of_training(run)


def over_time(run, cluster):
    in_training(run.start())
    hold(run)
    run.finish()
    assert "SLURM status is: 'TIMEOUT'" in run.log
    assert "saved on SIGTERM" in log_of_training(run)


def out_of_memory(run, cluster):
    run.start().finish()
    rows = dict(row.split(maxsplit=1) for row in run.jobs("all", "%A %m %T"))
    *killed, trained, _ = [rows[job].split() for job in submitted(run)]
    assert [memory for memory, _ in (*killed, trained)] == [f"{600 * n}M" for n in range(1, len(rows))]
    assert killed
    assert all(state != "COMPLETED" for _, state in killed)


def controller_killed(run, cluster):
    job = in_training(run.start())
    hold(run)
    run.process.kill()
    run.process.wait()
    assert run.jobs() == [job]  # goes on without its controller
    run.project.run("snakemake", "--unlock", "--configfile", "config/smoke.yaml")
    run.start().finish()
    assert f"ending 1 jobs that an earlier run left: {job}" in run.log
    assert "saved on SIGTERM" in log_of_training(run)


def node_lost(run, cluster):
    """A node stops answering while its job goes on; Slurm starts the job a second time, on the other node."""
    job = in_training(run.start())
    hold(run)
    cluster.end("slurmd-two")
    run.wait(lambda: "another process works on this" in log_of_training(run))
    assert run.jobs("running", "%A %N") == [f"{job} one"]
    assert len(run.training()) == 2
    cluster.node("two")
    run.finish()
    assert "resuming from" in log_of_training(run)


def drained_and_restarted(run, cluster):
    """The job's node is drained, and Slurm's controller dies and comes back. None of it disturbs the job."""
    job = in_training(run.start())
    slurm("scontrol", "update", "nodename=three", "state=drain", "reason=test")
    cluster.end("slurmctld")
    cluster.controller()
    run.finish()
    slurm("scontrol", "update", "nodename=three", "state=resume")
    assert set(run.jobs("all", "%A %N")) == {f"{job} three", f"{submitted(run)[1]} one"}
    assert "resuming from" not in log_of_training(run)


FAULTS = {
    "over_time": (over_time, site(runtime=1)),
    "cancelled": (cancelled, site()),
    "requeued": (requeued, site()),
    "out_of_memory": (out_of_memory, site(train={"mem_mb": 600})),
    "controller_killed": (controller_killed, site()),
    "node_lost": (node_lost, site(partition="gpu", gpu=1, constraint="left")),
    "drained_and_restarted": (drained_and_restarted, site(partition="gpu", gpu=1, constraint="right")),
}


@pytest.fixture(scope="module")
def outcomes(prepared, cluster, tmp_path_factory):
    """The payloads of the calm run, and per fault its run or what went wrong, in the future of its thread."""
    folder = tmp_path_factory.mktemp("faults")
    base = prepared.copy(folder / "base")
    base.edit("config/smoke.yaml", "epochs: 2", f"epochs: {EPOCHS}")
    base.edit("config/smoke.yaml", "architectures: [conv]", "architectures: [conv]\n        methods: [none]")

    def inject(name, fault, asked):
        run = Run(base.copy(folder / name), "measurements", "--config", "study=eat", site=asked)
        try:
            fault(run, cluster)
        finally:
            run.end()
        return run

    with ThreadPoolExecutor(len(FAULTS)) as pool:
        done = {name: pool.submit(inject, name, *what) for name, what in FAULTS.items()}
        calm = Run(base.copy(folder / "calm"), site=site())
        calm.project.snakemake("measurements", "--config", "study=eat")
    return calm.payloads(), done


@pytest.mark.parametrize("fault", FAULTS)
def test_a_disturbed_run_ends_in_the_bytes_of_a_calm_one(outcomes, fault):
    calm, done = outcomes
    run = done[fault].result()
    assert len(calm) >= 6
    assert run.payloads() == calm
    assert not run.find(STATE)
