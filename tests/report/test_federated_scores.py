"""Derived scores of federated trials, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from federated_trials import gathered, trial, value

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve


def derive(name, tables, **options):
    return resolve("derived", name)(tables, **options)


def curve(*percent):
    """Hits per round and class of a curve given in percent."""
    return [(accuracy, accuracy) for accuracy in percent]


def test_curves_come_to_their_highest_last_and_first_values():
    tables = gathered(trial(hits=[(40, 0), (60, 20), (80, 60), (90, 30), (70, 50), (80, 40)]))
    found = derive("learning_curves", tables, last=2, first=3, early=1 / 3)
    assert value(found, "max_accuracy") == 0.70  # (80 + 60) / 200
    assert value(found, "final_accuracy") == pytest.approx((0.6 + 0.6) / 2)
    assert value(found, "first_accuracy") == pytest.approx((0.2 + 0.4 + 0.7) / 3)
    assert value(found, "early_accuracy") == pytest.approx((0.2 + 0.4) / 2)
    assert value(found, "maverick_recall") == pytest.approx(0.45)
    assert value(found, "max_maverick_recall") == 0.6


def test_a_class_that_others_own_too_is_not_the_mavericks():
    tables = gathered(trial(hits=curve(50, 60)))
    clients = tables["clients"]
    clients.loc[(clients["client"] == 0) & (clients["label"] == 1), "samples"] = 1
    found = derive("learning_curves", tables)
    assert "maverick_recall" not in set(found["metric"])


def test_r99_is_the_first_round_at_99_percent_of_the_references_best():
    tables = gathered(
        trial("random", hits=curve(50, 100, 90, 99)),
        trial("fedemd", hits=curve(98, 99, 60, 60)),
        trial("never", hits=curve(90, 90, 98, 98)),
    )
    found = derive("rounds_to_accuracy", tables, references={"random": ["random", "fedemd", "never"]})
    assert value(found, "r@99", "random") == 2
    assert value(found, "r@99", "fedemd") == 2
    assert value(found, "r@99", "never") == 4  # never there: the last round
    assert [value(found, "reached@99", method) for method in ("random", "fedemd", "never")] == [1, 1, 0]


def test_r99_of_smoothed_curves_asks_for_more_than_a_spike():
    tables = gathered(trial("random", hits=curve(10, 90, 10, 60, 60, 60)))
    found = derive("rounds_to_accuracy", tables, references={"random": ["random"]}, smooth=3)
    assert value(found, "r@99") == 2
    # means of three: 10, 50, 36.7, 53.3, 43.3, 60
    assert value(found, "r@99_smooth") == 6


def test_r99_is_paired_by_seed_and_kept_within_a_setting():
    tables = gathered(
        trial("random", 0, hits=curve(50, 50)),
        trial("random", 1, hits=curve(50, 100)),
        trial("random", 0, hits=curve(100, 100), setting="iid"),
        trial("fedemd", 0, hits=curve(20, 50)),
        trial("fedemd", 1, hits=curve(50, 99)),
    )
    found = derive("rounds_to_accuracy", tables, references={"random": ["random", "fedemd"]})
    found = found[found["setting"] == "exclusive-1"]
    assert value(found, "r@99", "fedemd", 0) == 2
    assert value(found, "r@99", "fedemd", 1) == 2
    assert value(found, "r@99", "random", 0) == 1


def test_a_reference_that_was_not_run_gives_nothing():
    tables = gathered(trial("fedemd", hits=curve(50, 60)))
    assert derive("rounds_to_accuracy", tables, references={"random": ["fedemd"]}).empty


def test_a_share_of_nothing_is_refused():
    with pytest.raises(GauntletError, match="share"):
        derive("rounds_to_accuracy", gathered(trial()), references={}, share=0)


def test_picks_per_quarter_are_rates():
    picked = [(0, 3), (0, 1), (3, 1), (3, 2), (0, 1), (0, 2), (0, 3), (1, 2)]
    found = derive("maverick_picks", gathered(trial(picked=picked)), per=50)
    assert [value(found, f"picks@q{quarter}") for quarter in (1, 2, 3, 4)] == [25, 50, 0, 25]
    assert value(found, "picks@fall") == 0


def test_picks_without_a_maverick_are_no_rows():
    tables = gathered(trial(picked=[(0, 1), (1, 2)]))
    tables["clients"]["maverick"] = False
    assert derive("maverick_picks", tables).empty


def test_contribution_shares_are_ratios_of_sums():
    picked = [(0, 3), (1, 3), (0, 1), (2, 3), (0, 3)]
    values = [(3, 1), (2, 2), (5, 5), (1, 3), (0, 4)]
    found = derive("contribution_shares", gathered(trial(picked=picked, values=values)), early=0.4, late=0.4)
    assert value(found, "shapley@early") == pytest.approx(3 / 8)  # rounds 1 and 2; round 3 has no Maverick
    assert value(found, "shapley@late") == pytest.approx(7 / 8)
    assert value(found, "shapley@rise") == pytest.approx(0.5)
    assert value(found, "samples@share") == pytest.approx(5 / 6)
    # |q - rc| is the same for both clients of a round
    gaps = [5 / 6 - 1 / 4, 5 / 6 - 1 / 2, 5 / 6 - 3 / 4, 1 - 5 / 6]
    assert value(found, "fairness") == pytest.approx(1 - np.mean(gaps))


def test_an_empty_coalition_of_value_zero_adds_a_share_of_the_accuracy_before():
    picked, values = [(0, 3), (1, 3), (2, 3)], [(9, 9), (0.1, -0.1), (0.2, 0.0)]
    hits = [(40, 40), (60, 60), (80, 80)]
    found = derive(
        "contribution_shares", gathered(trial(hits=hits, picked=picked, values=values)), early=1, late=0.3
    )
    # 0.4 / 2 and 0.6 / 2 more for both clients of rounds 2 and 3; nothing is known before round 1
    assert value(found, "shapley_from_zero@early") == pytest.approx((0.1 + 0.3) / (0.4 + 0.8))
    assert value(found, "shapley_from_zero@late") == pytest.approx(0.3 / 0.8)


def test_rounds_in_which_nobody_gained_have_no_shares():
    picked, values = [(0, 3), (1, 3)], [(1, -1), (1, 3)]
    found = derive("contribution_shares", gathered(trial(picked=picked, values=values)), early=0.5, late=0.5)
    assert np.isnan(value(found, "shapley@early"))
    assert value(found, "shapley@late") == pytest.approx(0.75)
    assert value(found, "fairness") == pytest.approx(1 - (5 / 6 - 3 / 4))


def scores(**rounds):
    """R@99 per method: dataset -> values per seed."""
    rows = [
        {"dataset": dataset, "setting": "exclusive-1", "architecture": "net", "method": method, "seed": seed,
         "metric": "r@99", "value": float(number)}
        for method, datasets in rounds.items()
        for dataset, numbers in datasets.items()
        for seed, number in enumerate(numbers)
    ]  # fmt: skip
    return {"scores": pd.DataFrame(rows)}


HEADLINE = {"method": "fedemd", "setting": "exclusive-1"}


def test_the_headline_formula_gives_the_papers_numbers_from_its_table():
    """Table 1 with weighted and with unweighted averaging: 26.9% and 11.3%. Equal seeds, so that every
    pseudo-value is the estimate itself."""
    datasets = ["mnist", "fashion-mnist", "cifar10", "stl10"]
    weighted = {
        "random": [72.3, 110.7, 143.0, 179.7], "tifl": [84.0, 146.3, 119.7, 200],
        "fedfast": [200, 200, 173.7, 153.0], "fedprox": [51.0, 92.0, 143.7, 179.0],
        "fedemd": [40.0, 79.7, 107.0, 95.0],
    }  # fmt: skip
    unweighted = {
        "random": [132.7, 144.0, 140.7, 122.3], "tifl": [111.0, 140.3, 147.3, 124.7],
        "fedfast": [200, 200, 200, 171.0], "fedprox": [117.7, 135.7, 164.0, 186.0],
        "fedemd": [98.7, 131.3, 140.0, 96.3],
    }  # fmt: skip
    for table, published in ((weighted, 0.269), (unweighted, 0.113)):
        tables = scores(
            **{m: {d: [v] * 3 for d, v in zip(datasets, values, strict=True)} for m, values in table.items()}
        )
        baselines = ["random", "tifl", "fedfast", "fedprox"]
        found = derive("headline_improvement", tables, baselines=baselines, **HEADLINE)
        assert found["value"].tolist() == pytest.approx([published] * 3, abs=6e-4)
        assert set(found["dataset"]) == {"all"}


def test_the_headlines_pseudo_values_are_the_jackknifes():
    random, fedemd = np.array([10.0, 20.0, 40.0, 30.0]), np.array([12.0, 15.0, 20.0, 25.0])
    found = derive(
        "headline_improvement",
        scores(random={"a": random}, fedemd={"a": fedemd}),
        baselines=["random"],
        **HEADLINE,
    )
    estimate = 1 - fedemd.mean() / random.mean()
    without = [1 - np.delete(fedemd, i).mean() / np.delete(random, i).mean() for i in range(4)]
    assert found["value"].tolist() == pytest.approx([4 * estimate - 3 * each for each in without])


def test_the_headline_needs_every_baseline_and_three_seeds():
    few = scores(random={"a": [10, 20]}, fedemd={"a": [5, 6]})
    assert derive("headline_improvement", few, baselines=["random"], **HEADLINE).empty
    absent = scores(random={"a": [10, 20, 30]}, fedemd={"a": [5, 6, 7]})
    assert derive("headline_improvement", absent, baselines=["random", "tifl"], **HEADLINE).empty
