"""docs/measurements.md: its derived score, followed word by word in a copy of the package."""

import json

import pages
import pytest

PAGE = "docs/measurements.md"

GATHER = """
import json, sys
from pathlib import Path
import gauntlet
from gauntlet.core.digest import code_digest
from gauntlet.plan import load_plan
from gauntlet.report.measurements import read
sys.path.insert(0, sys.argv[1])
from synthetic import build

study = load_plan("config/smoke.yaml").part("eat").study  # checks the options too
folder = build(Path("out"), methods=("none", "at"), datasets=("digits",), seeds=2, derived=study.derived)
scores = read(folder).scores
rows = scores[scores["metric"] == "robust_share"]
nmi = scores[(scores["metric"] == "nmi") & (scores["suite"] == "main") & (scores["view"] == "ensemble")]
wide = nmi.pivot(index=["method", "seed"], columns="attack", values="value")
print(json.dumps({
    "package": gauntlet.__file__,
    "label": study.metric_label("robust_share"),
    "attack": sorted(set(rows["attack"])),
    "values": rows.set_index(["method", "seed"])["value"].sort_index().tolist(),
    "expected": (wide["worst"] / wide["clean"]).sort_index().tolist(),
    "alone": code_digest("gauntlet.report.gather"),
    "with": code_digest("gauntlet.report.gather", methods=(("derived", "robust_share"),)),
}))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = pages.copy(tmp_path_factory.mktemp("copy"), "config")
    pages.follow(PAGE, root)
    (root / "gather.py").write_text(GATHER)
    return root


def test_the_score_of_the_page_is_gathered(root):
    shown = json.loads(pages.run(f'python gather.py "{pages.ROOT}/tests/report"', root).splitlines()[-1])
    assert shown["package"].startswith(str(root))
    assert (shown["label"], shown["attack"]) == ("robust share of NMI", ["worst"])
    assert shown["values"] == pytest.approx(shown["expected"])
    assert len(shown["values"]) == 4
    assert shown["alone"] != shown["with"]  # its code is among what gathering depends on


def test_a_misspelt_option_is_named(root):
    study = root / "config/studies/eat.yaml"
    text = study.read_text()
    study.write_text(text.replace("{metric: nmi}", "{metrics: nmi}"))
    done = pages.run("gauntlet claims --config config/smoke.yaml || true", root)
    study.write_text(text)
    assert "config/studies/eat.yaml: derived.share.options.metrics" in done
    assert "did you mean 'metric'" in done
