"""Claims that compare settings, ratios and costs."""

import pandas as pd
import pytest
from synthetic import EAT, TABLES, write_cell

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.report.claims.judge import judge_claim
from gauntlet.report.claims.model import Claim
from gauntlet.report.gather import gather
from gauntlet.report.measurements import read
from gauntlet.report.study import Study, check_attacks, load

SETTINGS = {"iid": "the same classes", "skewed": "classes apart", "rare": "a rare class"}
METRICS = {"seconds_per_epoch": "seconds per epoch", "reach": "rounds"}
STUDY = load(EAT).model_copy(update={"settings": SETTINGS, "metrics": METRICS})
MINUS = "\N{MINUS SIGN}"


def weaker(scores, method, dataset):
    return scores.assign(value=scores["value"] * 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits. None and AT in two settings, weaker where the classes are apart; EAT in the first alone."""
    root = tmp_path_factory.mktemp("settings")
    cells = [
        write_cell(root, "digits", method, range(5), weaker if setting == "skewed" else None, setting=setting)
        for method, setting in [
            ("none", "iid"),
            ("none", "skewed"),
            ("at", "iid"),
            ("at", "skewed"),
            ("eat", "iid"),
        ]
    ]
    return gather(cells, root / "out", "eat", "mini", tables=TABLES)


def judged(folder, *checks, **rest) -> dict:
    claim = parse(Claim, {"statement": "s", "paper": "p", "checks": list(checks), **rest}, file="test")
    return judge_claim(claim, STUDY, read(folder), file="test.yaml", key="claims.T")


def check(method, setting=None, metric="nmi", attack="worst", **rest) -> dict:
    value = {"method": method, "attack": attack, **({"setting": setting} if setting else {})}
    return {"metric": metric, "value": value, **rest}


def values(folder, method, setting, metric="nmi"):
    rows = pd.read_parquet(folder / "scores.parquet").query(
        "method == @method and setting == @setting and metric == @metric"
        " and suite == 'main' and view == 'ensemble' and attack == 'worst'"
    )
    return rows.set_index("seed")["value"].sort_index()


def test_a_check_without_a_setting_is_asked_in_each(folder):
    result = judged(folder, check("at", minus={"method": "none"}, **{"is": {"above": 0}}))
    assert [detail["setting"] for detail in result["details"]] == ["iid", "skewed"]
    assert result["details"][1]["what"].endswith("(digits, classes apart, conv net)")
    scoped = judged(
        folder, check("at", minus={"method": "none"}, **{"is": {"above": 0}}), scope={"setting": "iid"}
    )
    assert [detail["setting"] for detail in scoped["details"]] == ["iid"]


def test_two_settings_are_compared_seed_by_seed(folder):
    entry = check("at", "skewed", minus={"setting": "iid"}, **{"is": {"below": 0}})
    result = judged(folder, entry)
    expected = values(folder, "at", "skewed") - values(folder, "at", "iid")
    (detail,) = result["details"]
    assert result["verdict"] == "holds"
    assert detail["effects"] == {str(seed): pytest.approx(value) for seed, value in expected.items()}
    assert (detail["setting"], detail["minus"]["setting"]) == ("skewed", "iid")
    assert detail["what"] == (
        f"NMI, worst attack: AT {MINUS} AT in the same classes (digits, classes apart, conv net)"
    )
    other = judged(
        folder, check("at", "skewed", minus={"method": "none", "setting": "iid"}, **{"is": {"above": 0}})
    )
    expected = values(folder, "at", "skewed") - values(folder, "none", "iid")
    assert other["effect"] == pytest.approx(expected.mean())
    assert other["compared_with"] == ["No defense"]


def test_a_method_of_one_setting_is_asked_there_and_named_elsewhere(folder):
    result = judged(folder, check("eat", minus={"method": "none"}, **{"is": {"above": 0}}))
    assert (result["verdict"], result["comparisons"]) == ("holds", 1)
    assert result["not_planned"] == ["EAT on digits, classes apart, conv net"]
    both = judged(folder, check("eat", "iid", minus={"setting": "skewed"}, **{"is": {"above": 0}}))
    assert (both["verdict"], both["missing"]) == (
        "not measured",
        ["EAT in classes apart on digits, the same classes, conv net"],
    )


def test_a_setting_that_was_not_run_is_a_gap(folder):
    """Although the claim's other check could be judged."""
    known = check("at", "iid", minus={"method": "none"}, **{"is": {"above": 0}})
    absent = check("at", "rare", minus={"method": "none"}, **{"is": {"above": 0}})
    result = judged(folder, known, absent)
    assert (result["verdict"], result["comparisons"]) == ("not measured", 2)
    assert result["missing"] == [
        "AT on digits, a rare class, conv net",
        "No defense on digits, a rare class, conv net",
    ]
    assert [detail["verdict"] for detail in result["details"]] == ["holds", "not measured"]


def test_a_ratio_is_that_of_each_seed(folder):
    entry = check("at", "iid", over={"method": "eat"}, **{"is": {"above": 1}})
    result = judged(folder, entry)
    expected = values(folder, "at", "iid") / values(folder, "eat", "iid")
    assert result["effect"] == pytest.approx(expected.mean())
    (detail,) = result["details"]
    assert (detail["minus"], detail["over"]["method"]) == (None, "eat")
    assert detail["what"].startswith("NMI, worst attack: AT / EAT (")
    assert result["compared_with"] == ["EAT"]


def test_a_ratio_needs_a_finite_value_above_which_to_stand(tmp_path):
    def edit(scores, method, dataset):
        zero = (scores["seed"] == 2) & (method == "trades")
        lost = (scores["seed"] == 3) & (method == "at")
        return scores.assign(value=scores["value"].mask(zero, 0.0).mask(lost, float("inf")))

    cells = [
        write_cell(tmp_path, "digits", method, range(5), edit, setting="iid") for method in ("trades", "at")
    ]
    out = gather(cells, tmp_path / "out", "eat", "mini", tables=TABLES)
    is_ = {"is": {"above": 1}}
    result = judged(out, check("at", over={"method": "trades"}, **is_))
    assert result["missing"] == ["finite NMI, worst attack of AT, seed 3"]
    zero = judged(out, check("trades", over={"method": "trades"}, **is_))
    assert zero["missing"] == ["NMI, worst attack of TRADES other than 0, seed 2"]


def test_costs_are_judged_from_the_manifest_and_are_in_no_table(folder):
    measured = read(folder)
    assert list(measured.costs.columns) == [
        "dataset",
        "setting",
        "architecture",
        "method",
        "seed",
        "attack",
        "metric",
        "value",
    ]
    assert "seconds_per_epoch" not in set(measured.scores["metric"])
    entry = {
        "metric": "seconds_per_epoch",
        "value": {"method": "eat", "suite": "cost"},
        "over": {"method": "none"},
        "is": {"below": 4},
    }
    result = judged(folder, entry, scope={"setting": "iid"})
    # The synthetic jobs need (members + seed / 10) seconds.
    assert result["effect"] == pytest.approx(sum((3 + s / 10) / (1 + s / 10) for s in range(5)) / 5)
    assert (result["verdict"], result["flagged"]) == ("holds", [])
    assert result["what"].startswith("seconds per epoch: EAT / No defense (")


def test_without_attacks_none_is_named(folder):
    """Rows of the suite as they are, where all are clean."""
    measured = read(folder)
    measured.__dict__["scores"] = measured.scores.query("attack == 'clean'")
    entry = {"metric": "nmi", "value": {"method": "at"}, "minus": {"method": "none"}, "is": {"below": 0}}
    claim = parse(Claim, {"statement": "s", "paper": "p", "checks": [entry]}, file="test")
    result = judge_claim(claim, STUDY, measured)
    assert result["comparisons"] == 2
    assert result["details"][0]["what"] == f"NMI: AT {MINUS} No defense (digits, the same classes, conv net)"


def test_a_derived_block_is_judged_where_a_claim_names_it(folder):
    measured = read(folder)
    total = measured.scores.query(
        "method == 'at' and metric == 'nmi' and attack == 'worst' and setting == 'iid'"
    )
    measured.__dict__["scores"] = pd.concat(
        [measured.scores, total.assign(dataset="all", architecture="all", metric="reach")]
    )
    entry = check("at", metric="reach", **{"is": {"above": 0}})
    claim = {"statement": "s", "paper": "p", "checks": [entry]}
    scoped = parse(Claim, {**claim, "scope": {"dataset": "all"}}, file="test")
    assert judge_claim(scoped, STUDY, measured)["verdict"] == "holds"
    other = parse(Claim, {**claim, "checks": [check("at", **{"is": {"above": 0}})]}, file="test")
    result = judge_claim(other, STUDY, measured)
    assert (result["comparisons"], result["not_planned"]) == (2, [])


def study(*checks, **rest) -> dict:
    content = load(EAT).model_dump(by_alias=True)
    claim = {"statement": "s", "paper": "p", "checks": list(checks), **rest}
    return {**content, "settings": SETTINGS, "claims": {"T": claim}}


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({"over": {}, "minus": {}}, "claims.T.checks.0", "minus or over, not both"),
        ({"over": {}, "is": {"within": 1}}, "claims.T.checks.0", "above or below"),
        ({"over": {"methd": "at"}}, "claims.T.checks.0.over.methd", "did you mean 'method'"),
        ({"over": {"method": "att"}}, "claims.T.checks.0.over.method", "did you mean 'at'"),
        ({"minus": {"setting": "idd"}}, "claims.T.checks.0.minus.setting", "did you mean 'iid'"),
        (
            {"value": {"method": "at", "attack": "clean", "setting": "idd"}},
            "claims.T.checks.0.value.setting",
            "iid",
        ),
        ({"metric": "recal@1"}, "claims.T.checks.0.metric", "recall@1"),
        ({"metric": []}, "claims.T.checks.0.metric", "at least 1"),
        ({"test": "ttest"}, "claims.T.checks.0.test", "'t', 'wilcoxon' or 'permutation' (got 'ttest')"),
        ({"reached": "reach", "minus": {}, "test": "wilcoxon"}, "claims.T.checks.0", "leave test out"),
    ],
)
def test_faults_name_file_key_and_remedy(tmp_path, change, key, says):
    import yaml

    file = tmp_path / "eat.yaml"
    entry = {**check("at"), "is": {"above": 0}, **change}
    file.write_text(yaml.safe_dump(study(entry)), encoding="utf-8")
    with pytest.raises(GauntletError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: {key}")
    assert says in str(caught.value)


def refused(tmp_path, **changes) -> str:
    import yaml

    file = tmp_path / "eat.yaml"
    sound = {**check("at"), "is": {"above": 0}}
    file.write_text(yaml.safe_dump({**study(sound), **changes}), encoding="utf-8")
    with pytest.raises(GauntletError) as caught:
        load(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"correction": "bonferoni"}, "correction", "'holm', 'bh' or 'none' (got 'bonferoni')"),
        (
            {"claims": {"T": {"statement": "s", "paper": "p", "checks": []}}},
            "claims.T.checks",
            "at least 1 item",
        ),
        (
            {"claims": {"T": {"statement": "s", "paper": "p", "checks": [{"is": {"above": 0}}]}}},
            "claims.T.checks.0.metric",
            "Field required",
        ),
        ({"derived": {"rounds": {"derived": "rounds_to"}}}, "derived.rounds.derived", "rounds_to_accuracy"),
    ],
)
def test_a_claim_without_a_measurement_and_unknown_names_are_faults(tmp_path, changes, key, says):
    message = refused(tmp_path, **changes)
    assert message.startswith(f"{tmp_path / 'eat.yaml'}: {key}: ")
    assert says in message


def test_a_setting_outside_the_scope_is_a_fault(tmp_path):
    import yaml

    file = tmp_path / "eat.yaml"
    entry = check("at", "skewed", **{"is": {"above": 0}})
    file.write_text(yaml.safe_dump(study(entry, scope={"setting": "iid"})), encoding="utf-8")
    with pytest.raises(
        GauntletError, match=r"claims\.T\.checks\.0\.value\.setting: unknown setting of the scope"
    ):
        load(file)


def test_where_models_are_attacked_the_attack_is_named():
    entry = {"metric": "nmi", "value": {"method": "at"}, "is": {"above": 0}}
    with pytest.raises(GauntletError, match=r"x\.yaml: claims\.T\.checks\.0\.value\.attack: name the attack"):
        check_attacks(parse(Study, study(entry), file="x.yaml"), "x.yaml")
    sweep = {**entry, "value": {"method": "at", "suite": "eps", "eps": 0.1}}
    check_attacks(parse(Study, study(sweep), file="x.yaml"), "x.yaml")
