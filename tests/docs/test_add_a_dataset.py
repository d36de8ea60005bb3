"""docs/add-a-dataset.md, followed word by word in a copy of the package."""

import re

import pages
import pytest

PAGE = "docs/add-a-dataset.md"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    root = pages.copy(tmp_path_factory.mktemp("copy"))
    return root, pages.follow(PAGE, root)


def test_the_page_has_a_reader_an_entry_and_its_pins():
    assert [path for path, _ in pages.blocks(PAGE)] == [
        "downloads/bars.csv",
        "src/gauntlet/data/readers/bars.py",
        "src/gauntlet/data/registry.yaml",
        "src/gauntlet/data/registry.yaml",
    ]


def test_the_pins_on_the_page_are_what_fetch_prints(outcome):
    _, outputs = outcome
    pins = pages.blocks(PAGE)[-1][1]
    assert len(re.findall(r"[0-9a-f]{64}", pins)) == 5
    assert pins.strip() in outputs[0]


def test_the_new_set_loads_as_the_page_says(outcome):
    root, outputs = outcome
    assert "(6, 1, 3, 3) horizontal" in outputs[1]
    assert (root / "datasets" / "bars" / "dataset.json").is_file()
    code = "import gauntlet as g, gauntlet.data as d; print(g.__file__, d.load('bars').train.images[0])"
    shown = pages.run(f'python -c "{code}"', root)
    assert shown.split()[0] == str(root / "src" / "gauntlet" / "__init__.py")
    assert re.findall(r"\d+", shown.split("__init__.py")[1]) == ["255"] * 3 + ["0"] * 6


def test_nothing_else_of_the_package_changed(outcome):
    root, _ = outcome
    copied = {
        p.relative_to(root) for p in (root / "src").rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    here = {
        p.relative_to(pages.ROOT)
        for p in (pages.ROOT / "src").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert {str(path) for path in copied - here} == {"src/gauntlet/data/readers/bars.py"}
