"""Two runs side by side: what moved is what a paired test from elsewhere says."""

import numpy as np
import pytest
from scipy.stats import ttest_rel
from synthetic import EAT, build

from gauntlet.core.errors import GauntletError
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.measurements import read
from gauntlet.report.pages.compare import KEYS, compare, find_all
from gauntlet.report.study import load

STUDY = load(EAT)
SMALL = {"methods": ("none", "eat"), "datasets": ("digits",)}


def against(ours, theirs):
    claims = [judge_study(EAT, folder)["claims"] for folder in (ours, theirs)]
    return compare(STUDY, read(ours), read(theirs), *claims)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return build(tmp_path_factory.mktemp("reference"), **SMALL)


def test_a_run_against_itself_is_the_same_to_the_bit(reference):
    found = against(reference, reference)
    scores = read(reference).scores.drop_duplicates(KEYS)
    assert found["counts"] == {
        "identical": len(scores), "within": 0, "beyond": 0, "unknown": 0, "ours": 0, "theirs": 0
    }  # fmt: skip
    assert all(found["tables"].values())
    assert not any(row["moved"] for row in found["claims"])


def test_beyond_noise_is_what_the_paired_t_test_rejects(reference, tmp_path):
    """Noise on the scores of one method; some of them also shifted, some by little."""

    def edit(scores, method, dataset):
        if method != "eat":
            return scores
        noise = np.random.default_rng(0).normal(0, 0.02, len(scores))
        shift = scores["metric"].map({"nmi": -0.3, "f1": 0.02}).fillna(0.0)
        return scores.assign(value=scores["value"] + noise + shift)

    moved = build(tmp_path, **SMALL, edit=edit)
    found = against(moved, reference)
    both = read(moved).scores.merge(read(reference).scores, on=[*KEYS, "seed"])
    rejected, accepted = 0, 0
    for _, rows in both[both["method"] == "eat"].groupby(KEYS):
        if ttest_rel(rows["value_x"], rows["value_y"]).pvalue < 0.05:
            rejected += 1
        else:
            accepted += 1
    counts = found["counts"]
    assert (counts["beyond"], counts["within"]) == (rejected, accepted)
    assert counts["identical"] == len(both[both["method"] == "none"].drop_duplicates(KEYS))
    assert min(rejected, accepted) > 10
    assert found["moved"][0]["method"] == "EAT"
    assert not found["tables"]["scores"]
    assert found["tables"]["training"]


def test_what_one_run_alone_has_is_counted(reference, tmp_path):
    more = build(tmp_path, methods=("none", "eat", "at"), datasets=("digits",))
    only = read(more).scores.query("method == 'at'").drop_duplicates(KEYS)
    assert against(more, reference)["counts"]["ours"] == len(only)
    assert against(reference, more)["counts"]["theirs"] == len(only)


def test_one_common_seed_gives_no_interval(reference, tmp_path):
    def edit(scores, method, dataset):
        return scores.assign(value=scores["value"] - 0.01)

    one = build(tmp_path, **SMALL, seeds=1, edit=edit)
    counts = against(one, reference)["counts"]
    assert counts["beyond"] == counts["within"] == 0
    assert counts["unknown"] > 0


def test_a_copy_of_a_run_is_found_and_anything_else_is_refused(reference, tmp_path):
    wanted = {"eat": "mini", "mega": "mini"}
    root = reference.parents[1]
    assert find_all(root, wanted) == find_all(root.parent, wanted) == {"eat": reference}
    with pytest.raises(GauntletError, match="no measurements of this run's studies") as refused:
        find_all(tmp_path, wanted)
    assert str(tmp_path) in str(refused.value)
