"""What a change re-runs: exactly what depends on it. Each test edits a copy of a finished smoke run."""

import shutil

import pytest
import yaml

from gauntlet import data

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]


def test_smoke_ends_in_a_report(smoked):
    out = smoked.folder / "paper_figures"
    assert (out / "index.html").stat().st_size > 10_000
    assert (out / "claims.json").is_file()
    pdfs = {path.stem for path in (out / "eat").glob("*.pdf")}
    assert pdfs
    assert all((out / "eat" / f"{name}.{kind}").is_file() for name in pdfs for kind in ("png", "csv"))


def test_a_second_run_has_nothing_to_do(project):
    assert project.planned() == {}
    assert "Nothing to be done" in project.snakemake().stdout


def test_a_comment_reruns_nothing(project):
    for path in (
        "src/gauntlet/defenses/embeddings/at.py",
        "src/gauntlet/core/files.py",
        "config/smoke.yaml",
        "config/studies/eat.yaml",
    ):
        file = project.folder / path
        file.write_text(file.read_text() + "\n# a remark\n")
    assert project.planned() == {}


def test_code_of_one_defense_retrains_that_defense(project):
    everything = len(list(project.folder.glob("results/dml/digits/conv/*/seeds-*")))
    users = len(list(project.folder.glob("results/dml/digits/conv/at*/seeds-*")))
    assert 0 < users < everything
    file = project.folder / "src/gauntlet/defenses/embeddings/at.py"
    file.write_text(file.read_text() + "\nEXTRA = 1\n")
    jobs = project.planned()
    assert jobs["dml_train"] == jobs["dml_attack"] == users


def test_code_of_a_figure_redraws_the_figures_of_its_studies(project):
    project.edit("src/gauntlet/report/figures/projection.py", "\nfrom ", "\nEXTRA = 1\nfrom ")
    jobs = project.planned()
    assert set(jobs) == {"figures_eat", "report", "track", "all"}


def test_a_claims_margin_judges_again_and_draws_nothing(project):
    project.edit("config/studies/eat.yaml", "0.35", "0.36")
    assert set(project.planned()) <= {"claims", "report", "track", "all"}


def test_a_training_setting_retrains_everything(project):
    for grid in ("epochs: 2, batch: 50, lr", "epochs: 2, batch: 50, sampler"):
        project.edit("config/smoke.yaml", grid, grid.replace("2", "3", 1))
    jobs = project.planned()
    assert jobs["dml_train"] == len(list(project.folder.glob("results/dml/digits/conv/*/seeds-*")))


def test_an_attack_setting_retrains_nothing(project):
    project.edit("config/smoke.yaml", "eps_sweep: [0.1, 0.2]", "eps_sweep: [0.05, 0.2]")
    jobs = project.planned()
    assert "dml_train" not in jobs
    assert jobs["dml_attack"] > 0


def test_more_seeds_do_not_retrain_the_old_ones(project):
    before = project.planned("--forcerun", "dml_train")["dml_train"]
    project.edit("config/smoke.yaml", 'seeds: ["0-1"]', 'seeds: ["0-1", "2"]')
    assert project.planned()["dml_train"] == before


def test_a_new_defense_adds_its_own_trials_only(project):
    source = (project.folder / "src/gauntlet/defenses/embeddings/at.py").read_text()
    (project.folder / "src/gauntlet/defenses/embeddings/at_again.py").write_text(
        source.replace('@register("defense", "at")', '@register("defense", "at_again")')
    )
    project.edit(
        "config/studies/eat.yaml",
        "\nmethods:\n",
        "\nmethods:\n  at_again: {label: AT again, defense: at_again}\n",
    )
    jobs = project.planned()
    assert jobs["dml_train"] == jobs["dml_attack"] == 1


def test_a_derived_score_is_gathered_anew_and_nothing_is_trained(project):
    file = project.folder / "src/gauntlet/report/derived/learning_curves.py"
    source = file.read_text()
    file.write_text(source + "\nEXTRA = 1\n")
    by_code = project.planned()
    file.write_text(source)
    options = "{derived: learning_curves, options: {last: 5}}"
    project.edit("config/studies/fedemd.yaml", "{derived: learning_curves}", options)
    for jobs in (by_code, project.planned()):
        assert jobs["gather_federated"] == 1
        assert not {"federated_train", "dml_train", "gather_dml"} & set(jobs)


def test_code_of_one_selection_retrains_its_cells(project):
    users = len(list(project.folder.glob("results/federated/*/*/never_*/seeds-*")))
    assert users > 0
    file = project.folder / "src/gauntlet/selection/never.py"
    file.write_text(file.read_text() + "\nEXTRA = 1\n")
    jobs = project.planned()
    assert jobs["federated_train"] == users
    assert "dml_train" not in jobs


def test_two_studies_train_a_shared_model_once(project):
    study = (project.folder / "config/studies/eat.yaml").read_text()
    (project.folder / "config/studies/twin.yaml").write_text(study.replace("study: eat", "study: twin", 1))
    smoke = yaml.safe_load((project.folder / "config/smoke.yaml").read_text())
    smoke["studies"]["twin"] = smoke["studies"]["eat"]
    (project.folder / "config/twins.yaml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    jobs = project.planned(config="config/twins.yaml")
    assert "dml_train" not in jobs
    assert "dml_attack" not in jobs
    assert jobs["gather_dml"] == 1


def test_a_corrupted_dataset_is_caught(project):
    images = project.folder / data.folder("digits") / "train_images.npy"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    done = project.snakemake("--forcerun", "dml_train", check=False)
    assert done.returncode != 0
    assert "train_images.npy" in done.stdout
    assert "gauntlet data fetch digits" in done.stdout


def test_published_figures_need_no_model(project):
    project.run("gauntlet", "study", "publish", "eat", "--config", "config/smoke.yaml")
    for name in ("results", ".snakemake", "paper_figures", ".gauntlet"):
        shutil.rmtree(project.folder / name, ignore_errors=True)
    targets = ("figures", "tables", "claims", "--config", "source=published", "study=eat")
    assert set(project.planned(*targets)) == {"figures_eat", "tables_eat", "claims", "figures", "tables"}
    project.snakemake(*targets)
    assert list((project.folder / "paper_figures/eat").glob("*.pdf"))
    assert not (project.folder / "results/dml").exists()


def test_one_figure_by_its_name(project):
    target = "paper_figures/eat/projection.pdf"
    (project.folder / target).unlink()
    assert project.planned(target) == {"figures_eat": 1}
