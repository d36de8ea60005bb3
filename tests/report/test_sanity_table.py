"""The table of sanity checks: every attack and method, flags, and the claims that they bar."""

import pytest
from synthetic import ATTACKS, EAT, build

from gauntlet.report.claims.judge import judge_study
from gauntlet.report.measurements import read
from gauntlet.report.sanity import sanity
from gauntlet.report.study import load

STUDY = load(EAT)
METHODS = ("none", "at", "mixup", "eat")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same scores, without flags and with EAT's flagged."""
    return {
        flagged: build(tmp_path_factory.mktemp("sanity"), methods=METHODS, flagged=flagged)
        for flagged in [(), ("eat",)]
    }


def made(folder):
    return sanity(STUDY, read(folder), judge_study(EAT, folder)["claims"])


def cells(found, where, method):
    (block,) = [block for block in found["blocks"] if block["where"] == where]
    (row,) = [row for row in block["rows"] if row["label"] == STUDY.label(method)]
    return dict(zip(block["attacks"], row["cells"], strict=True))


def test_every_attack_and_method_of_every_block(folders):
    found = made(folders[()])
    assert [block["where"] for block in found["blocks"]] == ["digits, conv net", "Fashion-MNIST, conv net"]
    for block in found["blocks"]:
        assert block["attacks"] == ["shift", "centre", "joint pair"]
        assert [row["label"] for row in block["rows"]] == [STUDY.label(method) for method in METHODS]
        for row in block["rows"]:
            assert [(cell["passed"], cell["all"]) for cell in row["cells"]] == [(25, 25)] * 3
    assert [(check["passed"], check["all"]) for check in found["checks"]] == [(2 * 4 * 3 * 5,) * 2] * 5
    assert found["failed"] == []


def test_a_failed_check_is_named_and_counted(folders):
    found = made(folders[("eat",)])
    for cell in cells(found, "digits, conv net", "eat").values():
        assert (cell["passed"], cell["all"], cell["failed"]) == (24, 25, ["unbounded"])
    assert not any(cell["failed"] for cell in cells(found, "digits, conv net", "at").values())
    assert len(found["failed"]) == 2 * 3
    assert {row["seed"] for row in found["failed"]} == {0}


def test_a_flag_bars_the_claims_that_lose_a_verdict_to_it(folders):
    """Judged twice, with and without the flags: what is barred is what differs."""
    plain, flagged = (judge_study(EAT, folder)["claims"] for folder in folders.values())
    lost = {}
    for key, claim in plain.items():
        for before, after in zip(claim["details"], flagged[key]["details"], strict=True):
            if before["verdict"] != after["verdict"] and before["gate"]:
                lost.setdefault(before["value"]["attack"], set()).add(key)
    assert lost["shift"] == {"EAT-2"}
    found = cells(made(folders[("eat",)]), "digits, conv net", "eat")
    # The worst attack is doubted for every attack that fails a check.
    for attack, label in zip(ATTACKS, ["shift", "centre", "joint pair"], strict=True):
        assert set(found[label]["bars"]) == lost.get(attack, set()) | lost["worst"], attack


def test_a_flag_that_takes_no_verdict_bars_nothing(tmp_path):
    folder = build(tmp_path, methods=METHODS, flagged=("none",), datasets=("digits",))
    assert judge_study(EAT, folder)["claims"]["EAT-1"]["verdict"] == "holds"
    for cell in cells(made(folder), "digits, conv net", "none").values():
        assert cell["failed"]
        assert "EAT-1" not in cell["bars"]


def test_an_attack_without_checks_is_seen(tmp_path):
    def edit(scores, method, dataset):
        extra = scores[(scores["attack"] == "shift") & (scores["suite"] == "main")]
        return scores if method == "at" else scores.merge(extra.assign(attack="margin"), how="outer")

    folder = build(tmp_path, methods=("at", "eat"), datasets=("digits",), seeds=2, edit=edit)
    found = made(folder)
    assert cells(found, "digits, conv net", "at")["margin"] is None
    assert cells(found, "digits, conv net", "eat")["margin"]["all"] == 0
