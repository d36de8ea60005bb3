"""docs/federated.md, followed word by word in a copy of the package."""

import pages
import yaml

PAGE = "docs/federated.md"


def test_the_page_adds_a_selection_method_and_a_defense(tmp_path):
    root = pages.copy(tmp_path / "copy")
    assert [path for path, _ in pages.blocks(PAGE)] == [
        "src/gauntlet/selection/largest.py", "src/gauntlet/defenses/updates/sign.py"
    ]  # fmt: skip
    assert pages.follow(PAGE, root) == [
        "[ 100.  100. 6400.] [2]\n", "{'w': tensor([ 3., -3.])} 3\n"
    ]  # fmt: skip


def test_a_study_may_name_it(tmp_path):
    root = pages.copy(tmp_path / "copy", "config", "datasets")
    pages.follow(PAGE, root)
    study = root / "config/studies/fedemd.yaml"
    line = "  largest: {label: Largest, selection: largest, options: {power: 2.0}}\n"
    assert line.strip() in (pages.ROOT / PAGE).read_text()
    study.write_text(study.read_text().replace("methods:\n", "methods:\n" + line, 1))
    smoke = root / "config/smoke.yaml"
    scale = yaml.safe_load(smoke.read_text())
    scale["studies"]["fedemd"]["grids"][0]["methods"].append("largest")
    smoke.write_text(yaml.safe_dump(scale))
    printed = pages.run(
        'python -c "from gauntlet.plan import load_plan;'
        " print(*[cell.model for cell in load_plan('config/smoke.yaml').cells()])\"",
        root,
    )
    assert "largest_fedavg-" in printed


def test_the_page_lists_every_method():
    from gauntlet.core.registry import names

    text = (pages.ROOT / PAGE).read_text()
    for kind in ("partition", "selection", "aggregation", "update_defense"):
        for name in names(kind):
            assert f"`{name}`" in text, name
