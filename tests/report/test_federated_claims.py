"""The FedEMD study's claims, judged on hand-made trials."""

import pytest
from federated_trials import trial, write
from synthetic import REPOSITORY

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.report.claims.judge import judge_claim
from gauntlet.report.claims.model import Claim
from gauntlet.report.study import load

STUDY = load(REPOSITORY / "config/studies/fedemd.yaml")
FAST, SLOW = [(40, 40), (90, 90), (90, 90), (100, 100)], [(40, 40), (60, 60), (70, 70), (100, 100)]
NEVER = [(50, 50)] * 4


def judge(folder, trials, claim):
    return judge_claim(claim, STUDY, write(folder, STUDY, trials))


def runs(random, fedemd, seeds=5):
    return [
        trial(method, seed, hits=hits)
        for seed in range(seeds)
        for method, hits in (("random", random), ("fedemd", fedemd))
    ]


def rounds_claim(value="fedemd", minus="random", **bound):
    check = {
        "metric": "r@99",
        "value": {"method": value},
        "minus": {"method": minus},
        "is": bound,
        "reached": "reached@99",
    }
    return parse(Claim, {"statement": "s", "paper": "p", "checks": [check]}, file="claim")


def test_fewer_rounds_hold(tmp_path):
    judged = judge(tmp_path, runs(SLOW, [(40, 40), (99, 99), (99, 99), (99, 99)]), rounds_claim(below=0))
    assert judged["verdict"] == "holds"
    assert judged["effect"] == -2


def test_a_tie_of_runs_that_never_arrive_is_no_tie(tmp_path):
    """Random reaches its own best; what never does counts with the last round."""
    late = [(10, 10), (20, 20), (30, 30), (100, 100)]
    tie = judge(tmp_path, runs(late, late), rounds_claim(within=1))
    assert tie["verdict"] == "holds"
    unknown = [trial(method, seed, hits=NEVER) for seed in range(5) for method in ("always", "never")]
    claim = rounds_claim("always", "never", within=1)
    judged = judge(tmp_path / "unknown", [*runs(late, late), *unknown], claim)
    assert judged["verdict"] == "undecided"
    assert "5 of 5 pairs neither side reached the level" in str(judged)


def test_reached_without_minus_is_refused():
    check = {"metric": "r@99", "value": {"method": "fedemd"}, "is": {"below": 9}, "reached": "reached@99"}
    with pytest.raises(GauntletError, match="give minus"):
        parse(Claim, {"statement": "s", "paper": "p", "checks": [check]}, file="claim")


def test_an_unknown_reached_names_the_closest(tmp_path):
    text = (REPOSITORY / "config/studies/fedemd.yaml").read_text()
    path = tmp_path / "fedemd.yaml"
    path.write_text(text.replace("reached: reached@99}", "reached: reach@99}", 1))
    with pytest.raises(GauntletError, match="did you mean 'reached@99'"):
        load(path)


def test_the_recall_that_is_never_learned_is_exactly_zero(tmp_path):
    trials = [trial("never", seed, hits=[(90, 0)] * 4) for seed in range(5)]
    trials += [trial("random", seed, hits=[(90 + seed % 2, 90)] * 4, setting="iid") for seed in range(5)]
    judged = judge(tmp_path, trials, STUDY.claims["FEDEMD-6"])
    assert judged["verdict"] == "holds"
    assert judged["seeds"] == 5


def test_the_headline_is_judged_over_all_datasets(tmp_path):
    trials = runs(SLOW, [(40, 40), (99, 99), (99, 99), (99, 99)])
    trials += [trial(method, seed, hits=SLOW) for seed in range(5) for method in ("tifl", "fedprox")]
    judged = judge(tmp_path, trials, STUDY.claims["FEDEMD-9"])
    assert judged["effect"] == pytest.approx(0.5)  # 2 rounds instead of 4
    assert judged["verdict"] == "holds"
