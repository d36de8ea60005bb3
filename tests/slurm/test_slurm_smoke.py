"""The scale `smoke`, to its report, through a real Slurm; and what Slurm would refuse, refused at once."""

import json

import pytest
from runs import Run

from gauntlet.cluster import preflight
from gauntlet.cluster.site import cell_rules
from gauntlet.core.errors import GauntletError

pytestmark = [pytest.mark.slow, pytest.mark.needs("root", "slurm"), pytest.mark.xdist_group("slurm")]

JOB = {"slurm_partition": "gpu", "runtime": 5, "mem_mb": 1000, "gpu": 1, "cpus_per_task": 1}
#: Whole families on one partition, so that their cells can share jobs. Each job works on one cell at a time.
PACKED = {
    "pack": 6,
    "retries": 1,
    "resources": {
        "default": {"partition": "gpu", "runtime": 5, "mem_mb": 1500, "cpus": 1, "gpu": 1},
        "dml_train": {"partition": "cpu", "gpu": 0, "runtime": 1},
        "dml_attack": {"partition": "cpu", "gpu": 0, "runtime": 1},
    },
}


def test_smoke_runs_to_its_report(prepared, tmp_path):
    run = Run(prepared.copy(tmp_path / "project"), site=PACKED).start()
    log = run.finish(seconds=800)
    assert (run.folder / "paper_figures/index.html").stat().st_size > 10_000
    jobs: dict[str, set[str | None]] = {}  # first folder below results/ -> the Slurm jobs that wrote in it
    for path in run.folder.glob("results/**/*.provenance.json"):
        where = path.relative_to(run.folder / "results").parts[0]
        jobs.setdefault(where, set()).add(json.loads(path.read_text())["job"])
    families = {rule.rpartition("_")[0] for rule in cell_rules()}
    assert families <= set(jobs)
    for where, ids in jobs.items():
        assert (None in ids) == (where not in families), where  # cells on the nodes, all else here
    submitted = set().union(*(jobs[family] for family in families))
    assert log.count("has been submitted with SLURM jobid") == len(submitted) <= 5  # packed
    assert "Nothing to be done" in run.project.run(*run.command, "-n").stdout


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slurm_partition": "nope"}, ["Invalid partition name", "there is: partition cpu; partition gpu"]),
        ({"gpu": 13}, ["--gpus=13", "not available", "gpu:4"]),
        ({"gpu_model": "h100"}, ["--gpus=h100:1", "not available"]),
        ({"gres": "fpga:1", "gpu": 0}, ["Invalid generic resource"]),
        ({"mem_mb": 900_000}, ["not available", "64000 MB"]),
        ({"constraint": "a100"}, ["Invalid feature"]),
        ({"slurm_partition": "cpu", "runtime": 600}, ["grants 60"]),
        ({"slurm_account": "lab7"}, ["account: account 'lab7' cannot be looked up", "account: null"]),
    ],
)
def test_slurm_itself_refuses(cluster, tmp_path, changes, words):
    with pytest.raises(GauntletError) as error:
        preflight.check({"dml_train": {**JOB, **changes}}, tmp_path / "site.yaml", [], nodes=False)
    assert all(word in str(error.value) for word in [*words, "site.yaml: ", "remedy: "]), str(error.value)


def test_slurm_itself_takes_what_it_has(cluster, prepared, monkeypatch):
    monkeypatch.chdir(prepared.folder)
    (prepared.folder / ".gauntlet").mkdir(exist_ok=True)
    cpu = {**JOB, "slurm_partition": "cpu", "gpu": 0}
    files = ["data/digits/dataset.json"]
    preflight.check({"dml_train": JOB, "dml_attack": cpu}, prepared.folder / "site.yaml", files)


def test_a_refusal_ends_the_run_before_its_first_job(prepared, tmp_path):
    project = prepared.copy(tmp_path / "project")
    site = {"resources": {"default": {"partition": "nope", "runtime": 5, "mem_mb": 1000}}}
    run = Run(project, "models", "--config", "study=eat", site=site)
    done = project.run(*run.command, check=False)
    assert done.returncode != 0
    assert "profiles/slurm/site.yaml: resources.dml_train.partition: Slurm refuses the jobs" in done.stdout
    assert "Traceback" not in done.stdout
    assert "has been submitted" not in done.stdout
    assert not run.jobs("all")
