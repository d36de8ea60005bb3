"""Verdicts on measurements whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import EAT, build

from gauntlet.core.blocks import seeds_of
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json
from gauntlet.report.claims.board import judge_all, strict, summary
from gauntlet.report.claims.correction import correct
from gauntlet.report.claims.judge import combine, judge_claim, judge_study
from gauntlet.report.claims.model import Claim
from gauntlet.report.claims.statistics import t_interval
from gauntlet.report.claims.words import evidence
from gauntlet.report.measurements import read
from gauntlet.report.study import load

STUDY = load(EAT)


def claim(*checks, **rest) -> Claim:
    return parse(Claim, {"statement": "s", "paper": "p", "checks": list(checks), **rest}, file="test")


def judged(folder, *checks, **rest) -> dict:
    return judge_claim(claim(*checks, **rest), STUDY, read(folder), file="test.yaml", key="claims.T")


def check(method="eat", attack="worst", metric="nmi", minus=None, gate=True, **bound) -> dict:
    entry = {"metric": metric, "value": {"method": method, "attack": attack}, "is": bound, "gate": gate}
    return entry | ({"minus": minus} if minus else {})


def test_effect_and_interval_are_those_of_the_paired_differences(gathered):
    result = judged(gathered, check(minus={"method": "at"}, above=0), scope={"dataset": "digits"})
    scores = pd.read_parquet(gathered / "scores.parquet").query(
        "dataset == 'digits' and suite == 'main' and view == 'ensemble'"
        " and attack == 'worst' and metric == 'nmi'"
    )
    wide = scores.pivot(index="seed", columns="method", values="value")
    interval = t_interval((wide["eat"] - wide["at"]).tolist())
    assert result["effect"] == pytest.approx(interval.mean)
    assert result["ci"] == pytest.approx([interval.low, interval.high])
    assert (result["verdict"], result["seeds"], result["scale"]) == ("holds", 5, "mini")


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"above": 0.0}, "holds"),
        ({"below": 0.0}, "fails"),
        ({"above": 0.5}, "fails"),
        ({"within": 0.9}, "holds"),
        ({"within": 0.0001}, "fails"),
    ],
)
def test_each_side(gathered, bound, verdict):
    assert judged(gathered, check(minus={"method": "none"}, **bound))["verdict"] == verdict


def test_undecided_says_what_could_have_been_shown(gathered):
    result = judged(gathered, check(minus={"method": "eat_no_split"}, above=0))
    assert result["verdict"] == "undecided"
    half = (result["ci"][1] - result["ci"][0]) / 2
    assert result["smallest_effect"] == pytest.approx(half)
    assert f"above {half:.3f}" in result["reason"]


def test_a_value_without_minus_is_judged_itself(gathered):
    assert judged(gathered, check("none", "shift", "recall@1", below=0.35))["verdict"] == "holds"
    assert judged(gathered, check("at", "shift", "recall@1", below=0.35))["verdict"] == "fails"


def test_minus_inherits_the_method(gathered):
    result = judged(gathered, check("none", "joint_pair", "f1", minus={"attack": "clean"}, below=-0.1))
    assert result["verdict"] == "holds"
    assert result["details"][0]["minus"]["method"] == "none"


def test_lists_expand_to_every_comparison(gathered):
    result = judged(
        gathered,
        check(
            attack=["shift", "joint_pair"], metric=["nmi", "f1"], minus={"method": ["at", "none"]}, above=0
        ),
    )
    assert result["comparisons"] == len(result["details"]) == 2 * 2 * 2 * 2  # and two datasets
    assert len({detail["what"] for detail in result["details"]}) == 16
    # None is far easier to beat than AT, so the deciding comparison is one with AT.
    assert result["effect"] == min(detail["effect"] for detail in result["details"])


def test_one_failing_comparison_fails_the_claim(gathered):
    rivals = {"method": ["none", "at"]}
    assert judged(gathered, check("trades", minus=rivals, above=0.2))["verdict"] == "fails"
    assert judged(gathered, check("trades", minus={"method": "none"}, above=0.2))["verdict"] == "holds"


def test_reported_checks_do_not_gate(gathered):
    result = judged(gathered, check(minus={"method": "at"}, above=0), check(below=0, gate=False))
    assert result["verdict"] == "holds"
    assert [d["verdict"] for d in result["details"] if not d["gate"]] == ["fails", "fails"]


def test_present_rivals_are_listed_and_absent_ones_named(gathered):
    result = judged(gathered, check(minus={"method": {"present": ["at", "alp", "mixup", "fs"]}}, above=0))
    assert result["verdict"] == "holds"
    assert result["compared_with"] == ["AT", "Mixup"]
    assert result["absent"] == ["ALP", "Feature scattering"]


def test_no_rival_present_is_not_measured(gathered):
    result = judged(gathered, check(minus={"method": {"present": ["alp", "fs"]}}, above=0))
    assert result["verdict"] == "not measured"
    assert "ALP, Feature scattering" in result["reason"]


def test_missing_method_attack_and_seed_are_named(tmp_path):
    def edit(scores, method, dataset):
        if method == "at":
            scores = scores[scores["seed"] != 3]
        return scores[scores["attack"] != "centre"]

    folder = build(tmp_path, methods=("none", "at", "eat"), edit=edit)
    gone = judged(folder, check("eat_own", minus={"method": "none"}, above=0))
    assert (gone["verdict"], gone["reason"]) == ("not measured", "missing: EAT without self-transfer")
    assert gone["effect"] is None
    attack = judged(folder, check("eat", "centre", minus={"method": "none"}, above=0))
    assert attack["verdict"] == "not measured"
    assert "NMI, centre of EAT" in attack["missing"]
    seed = judged(folder, check("eat", minus={"method": "at"}, above=0))
    assert (seed["verdict"], seed["missing"]) == ("not measured", ["AT, seed 3"])


def test_a_failed_cell_is_a_gap_even_where_others_ran(tmp_path):
    hole = {"dataset": "digits", "architecture": "conv", "method": "mixup", "block": "0-4", "log": "l"}
    kept = {"dataset": "fashion-mnist", "architecture": "conv", "method": "at", "block": "5-6", "log": "l"}
    folder = build(tmp_path, methods=("at", "eat"), missing=[hole, kept])
    present = judged(folder, check(minus={"method": {"present": ["at", "mixup"]}}, above=0))
    assert present["verdict"] == "not measured"
    assert "Mixup on digits, conv net" in present["missing"]
    assert "AT, seed 5, 6 on Fashion-MNIST, conv net" in present["missing"]


def test_a_block_that_does_not_plan_a_method_is_not_asked(tmp_path):
    def without(method, dataset):
        return method == "mixup" and dataset == "digits"

    rival = check(minus={"method": {"present": ["at", "mixup"]}}, above=0)
    folder = build(tmp_path / "some", methods=("at", "mixup", "eat"), skip=without)
    some = judged(folder, rival)
    assert some["verdict"] == "holds"
    assert some["comparisons"] == 3
    assert some["not_planned"] == ["Mixup on digits, conv net"]
    # In no block at all: that is a gap. So is a block that planned it and failed.
    assert judged(folder, check("eat_own", minus={"method": "at"}, above=0))["verdict"] == "not measured"
    hole = {"dataset": "digits", "architecture": "conv", "method": "mixup", "block": "0-4", "log": "l"}
    folder = build(tmp_path / "failed", methods=("at", "mixup", "eat"), skip=without, missing=[hole])
    failed = judged(folder, rival)
    assert (failed["verdict"], failed["not_planned"]) == ("not measured", [])


def test_not_a_number_is_a_gap_not_a_value(tmp_path):
    def edit(scores, method, dataset):
        bad = (scores["seed"] == 2) & (scores["metric"] == "nmi") & (method == "eat")
        return scores.assign(value=scores["value"].mask(bad, np.nan))

    result = judged(build(tmp_path, methods=("at", "eat"), edit=edit), check(minus={"method": "at"}, above=0))
    assert result["verdict"] == "not measured"
    assert "finite NMI, worst attack of EAT, seed 2" in result["missing"]


def test_one_seed_is_undecided(tmp_path):
    result = judged(build(tmp_path, methods=("at", "eat"), seeds=1), check(minus={"method": "at"}, above=-9))
    assert (result["verdict"], result["ci"]) == ("undecided", None)
    assert "one seed" in result["reason"]


@pytest.mark.parametrize(
    ("bound", "unflagged", "value_flagged", "minus_flagged"),
    [
        ({"above": 0}, "holds", "undecided", "holds"),
        ({"above": 0.9}, "fails", "fails", "undecided"),
        ({"below": 0.9}, "holds", "holds", "undecided"),
        ({"below": 0}, "fails", "undecided", "fails"),
        ({"within": 0.9}, "holds", "undecided", "undecided"),
        ({"within": 0.0001}, "fails", "undecided", "undecided"),
    ],
)
def test_a_flag_takes_away_only_the_verdicts_it_would_help(
    flagged_folders, bound, unflagged, value_flagged, minus_flagged
):
    """EAT beats None; a flagged number may be too high."""
    expected = {
        (): unflagged,
        ("eat",): value_flagged,
        ("none",): minus_flagged,
        ("eat", "none"): "undecided",
    }
    for flagged, verdict in expected.items():
        result = judged(flagged_folders[flagged], check(minus={"method": "none"}, **bound))
        assert result["verdict"] == verdict, flagged
        # Named whatever the verdict is.
        assert ("EAT: unbounded" in result["reason"]) == ("eat" in flagged)
        assert ("No defense: unbounded" in result["reason"]) == ("none" in flagged)
        assert [detail["doubted"] for detail in result["details"]] == [verdict != unflagged] * 2


@pytest.fixture(scope="module")
def flagged_folders(tmp_path_factory):
    return {
        flagged: build(tmp_path_factory.mktemp("flagged"), methods=("none", "at", "eat"), flagged=flagged)
        for flagged in [(), ("eat",), ("none",), ("eat", "none")]
    }


def test_a_flag_says_which_attack_and_spares_clean_scores_and_other_methods(flagged_folders):
    folder = flagged_folders[("eat",)]
    reason = judged(folder, check(attack="shift", minus={"method": "none"}, above=0))["reason"]
    assert reason == "flagged: EAT: unbounded under shift"
    clean = judged(folder, check(attack="clean", minus={"method": "none"}, above=-0.9))
    assert (clean["verdict"], clean["reason"]) == ("holds", "")
    other = judged(folder, check("at", minus={"method": "none"}, above=0))
    assert (other["verdict"], other["reason"]) == ("holds", "")


def test_a_flagged_method_that_collapses_still_collapses(flagged_folders):
    entry = check("none", "joint_pair", "f1", minus={"attack": "clean"}, below=-0.1)
    result = judged(flagged_folders[("none",)], entry)
    assert (result["verdict"], result["reason"]) == (
        "holds",
        "flagged: No defense: unbounded under joint pair",
    )
    # A score alone is a value without minus: "low" survives, "high" does not.
    assert judged(flagged_folders[("none",)], check("none", "shift", below=0.35))["verdict"] == "holds"
    assert judged(flagged_folders[("eat",)], check("eat", "shift", above=0.1))["verdict"] == "undecided"


def test_flags_are_listed_when_another_comparison_decides(flagged_folders):
    folder = flagged_folders[("eat",)]
    fails = judged(
        folder,
        check(minus={"method": "none"}, above=0),
        check("at", minus={"method": "none"}, below=0),
        check("eat", "shift", above=0.1, gate=False),
    )
    assert (fails["verdict"], fails["what"].split(" (")[0]) == (
        "fails",
        "NMI, worst attack: AT \N{MINUS SIGN} No defense",
    )
    assert "EAT: unbounded" in fails["reason"]
    gone = judged(
        folder, check(minus={"method": "none"}, above=0), check("trades", minus={"method": "none"}, above=0)
    )
    assert gone["verdict"] == "not measured"
    assert gone["reason"].startswith("missing: TRADES")
    assert "EAT: unbounded" in gone["reason"]
    undecided = judged(
        folder, check(minus={"method": "none"}, below=0.9), check("at", minus={"method": "at"}, above=0)
    )
    assert undecided["verdict"] == "undecided"
    assert undecided["reason"].startswith("these seeds could have shown an effect above 0.000; flagged: EAT")
    reported = judged(folder, check(minus={"method": "none"}, above=0, gate=False), check("at", above=0.1))
    assert (reported["verdict"], reported["reason"]) == ("holds", "")


def test_the_console_shows_the_flags_of_a_claim_that_holds(flagged_folders):
    entry = check(minus={"method": "none"}, above=0)
    result = judged(flagged_folders[("none",)], entry)
    assert result["verdict"] == "holds"
    result["corrected"] = correct({"T": result}, "none")["T"]
    board = {"studies": {"eat": {"study": "eat", "title": "t", "label": "l", "claims": {"T": result}}}}
    assert "flagged: No defense" in summary(board)[2]


def test_off_diagonal_transfer_is_the_mean_over_pairs(gathered):
    entry = {
        "metric": "recall@1",
        "value": {"method": "eat", "suite": "transfer", "detail": "off_diagonal"},
        "minus": {"method": "eat_no_split"},
        "is": {"above": 0},
    }
    result = judged(gathered, entry, scope={"dataset": "digits"})
    rows = pd.read_parquet(gathered / "scores.parquet").query(
        "dataset == 'digits' and suite == 'transfer' and metric == 'recall@1'"
    )
    rows = rows[rows["detail"].map(lambda pair: pair[0] != pair[-1])]
    means = rows.groupby("method")["value"].mean()
    assert result["effect"] == pytest.approx(means["eat"] - means["eat_no_split"])
    assert result["verdict"] == "holds"


def test_sweep_points_are_selected_by_value(gathered):
    entry = {"metric": "nmi", "value": {"method": "none", "suite": "eps", "eps": 0.2}, "is": {"below": 0.3}}
    entry["minus"] = {"eps": 0.02}
    result = judged(gathered, entry, scope={"dataset": "digits"})
    rows = pd.read_parquet(gathered / "scores.parquet").query(
        "dataset == 'digits' and method == 'none' and suite == 'eps' and metric == 'nmi'"
    )
    means = rows.groupby("eps")["value"].mean()
    assert result["effect"] == pytest.approx(means[0.2] - means[0.02])
    assert result["effect"] < -0.3
    ambiguous = {"metric": "nmi", "value": {"method": "none", "suite": "eps"}, "is": {"below": 0.3}}
    with pytest.raises(GauntletError, match=r"claims\.T\.checks\.0.*eps"):
        judged(gathered, ambiguous)


def test_scope_limits_the_blocks(gathered):
    entry = check(minus={"method": "at"}, above=0)
    assert judged(gathered, entry, scope={"dataset": ["digits"]})["comparisons"] == 1
    elsewhere = judged(gathered, entry, scope={"dataset": "cub200"})
    assert (elsewhere["verdict"], elsewhere["reason"]) == ("not measured", "missing: cub200")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["holds", "not measured", "undecided"], "not measured"),
        (["holds", "not measured", "fails"], "fails"),
        ([], "not measured"),
    ],
)
def test_combining(verdicts, expected):
    assert combine(verdicts) == expected


@pytest.mark.parametrize(("block", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("7", [7]), ("", [])])
def test_blocks_of_seeds(block, seeds):
    assert seeds_of(block) == seeds


def test_the_study_on_synthetic_truth(gathered, tmp_path):
    claims = judge_all([(EAT, gathered)], tmp_path / "claims.json")
    assert read_json(tmp_path / "claims.json") == claims
    verdicts = {key: entry["verdict"] for key, entry in claims["studies"]["eat"]["claims"].items()}
    assert list(verdicts) == [f"EAT-{i}" for i in range(1, 9)]
    assert {key for key, verdict in verdicts.items() if verdict == "holds"} >= {
        "EAT-1",
        "EAT-2",
        "EAT-3",
        "EAT-8",
    }
    # Built with equal robustness: never declared a win.
    assert all(verdicts[key] != "holds" for key in ("EAT-5", "EAT-6", "EAT-7"))
    ties = [d for d in claims["studies"]["eat"]["claims"]["EAT-7"]["details"] if d["side"] == "within"]
    assert len(ties) == 6
    assert not any(detail["gate"] for detail in ties)


def test_console_lines_name_every_claim_and_gap(tmp_path):
    folder = build(tmp_path, methods=("none", "at", "eat"))
    lines = "\n".join(summary({"studies": {"eat": judge_study(EAT, folder)}}))
    for key in STUDY.claims:
        assert key in lines
    assert "mini scale: not the paper's numbers" in lines
    assert "missing: AT \N{MULTIPLICATION SIGN} 3" in lines


def test_another_test_decides_where_the_check_names_it(tmp_path):
    """At the same 2.5% per side, which signs of five seeds cannot reach, and those of six can."""
    by_signs = check(minus={"method": "none"}, above=0) | {"test": "permutation"}
    results = {}
    for seeds in (5, 6):
        folder = build(tmp_path / str(seeds), methods=("none", "eat"), datasets=("digits",), seeds=seeds)
        assert judged(folder, check(minus={"method": "none"}, above=0))["verdict"] == "holds"
        results[seeds] = judged(folder, by_signs)
        assert results[seeds]["p"]["holds"] == 0.5**seeds
    assert (results[5]["verdict"], results[6]["verdict"]) == ("undecided", "holds")
    assert "cannot go below p = 0.0312" in results[5]["reason"]
    reverse = check(minus={"method": "none"}, below=0) | {"test": "wilcoxon"}
    assert judged(folder, reverse)["verdict"] == "fails"


def test_evidence_is_that_of_the_paired_differences(gathered):
    result = judged(gathered, check(minus={"method": "at"}, above=0), scope={"dataset": "digits"})
    (detail,) = result["details"]
    effects = list(detail["effects"].values())
    assert detail["tests"]["t"]["holds"] == pytest.approx(
        stats.ttest_1samp(effects, 0, alternative="greater").pvalue
    )
    low, high = detail["bootstrap"]
    assert min(effects) <= low < detail["effect"] < high <= max(effects)
    half = (detail["ci"][1] - detail["ci"][0]) / 2
    # Half the runs would have shown an effect of about the half-width; four in five need more.
    assert half < detail["detectable"] < 2 * half
    assert result["p"] == {key: detail["tests"]["t"][key] for key in ("holds", "fails")}


def test_a_flag_leaves_no_evidence_for_the_verdict_that_it_takes_away(flagged_folders):
    entry = check(minus={"method": "none"}, above=0)
    assert judged(flagged_folders[()], entry)["p"]["holds"] < 0.025
    assert judged(flagged_folders[("eat",)], entry)["p"]["holds"] == 1


def test_every_claim_of_a_study_is_corrected_for_their_number(gathered):
    claims = judge_study(EAT, gathered)["claims"]
    tested = [claim for claim in claims.values() if claim["p"]["holds"] is not None]
    for claim in claims.values():
        corrected = claim["corrected"]
        assert corrected["by"] == "holm"
        assert corrected["claims"]["holds"] == len(tested) == len(claims)
        assert claim["p"]["holds"] <= corrected["holds"] <= len(tested) * claim["p"]["holds"] + 1e-15
        assert corrected["verdict"] in (claim["verdict"], "undecided")


def test_console_lines_have_p_values_correction_and_power(gathered):
    said = "\n".join(summary({"studies": {"eat": judge_study(EAT, gathered)}}))
    assert "after Holm over 8 claims" in said
    assert "with 80% power" in said
    assert "note: with 5 seeds the signed-rank and sign-flip tests cannot go below p = 0.0312" in said
    tie = judged(gathered, check("none", minus={"method": "none"}, within=0.02))
    tie["corrected"] = correct({"T": tie}, "holm")["T"]
    assert "TOST: above -0.02: p < 0.0001, below 0.02: p < 0.0001" in evidence(tie)


def test_what_no_job_measured_and_no_derived_score_gives_is_named_with_file_and_key(gathered):
    result = judged(gathered, check(metric="r-precision", minus={"method": "at"}, above=0))
    assert result["verdict"] == "not measured"
    assert "test.yaml: claims.T.checks.0: no job measured metric 'r-precision'" in result["reason"]
    sweep = {"metric": "nmi", "value": {"method": "eat", "suite": "epz", "eps": 0.1}, "is": {"above": 0}}
    assert "test.yaml: claims.T.checks.0: no job measured suite 'epz'" in judged(gathered, sweep)["reason"]


def test_strict_wants_every_measured_claim_to_hold():
    def board(*verdicts):
        return {"studies": {"s": {"claims": {str(i): {"verdict": v} for i, v in enumerate(verdicts)}}}}

    assert strict(board("holds", "not measured"))
    assert not strict(board("holds", "undecided"))
    assert not strict(board("holds", "fails"))
    assert not strict(board("not measured"))
