"""RobRank's score against rows of the table of Zhou and Patel 2022 (arXiv 2203.01439, state of the art)."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.metrics.robustness import NORMALISED, robustness_score

#: Row -> CA+, CA-, QA+, QA-, TMA, ES:D, ES:R, LTM, GTM, GTT, and the published score.
PUBLISHED = {
    "CUB none": (0.0, 100.0, 0.0, 99.9, 0.883, 1.762, 0.0, 0.0, 14.1, 0.0, 3.8),
    "CUB EST 32": (2.7, 97.9, 0.4, 97.3, 0.848, 1.576, 1.4, 0.0, 4.0, 0.0, 5.3),
    "CUB ACT 32": (15.5, 37.7, 15.1, 32.2, 0.472, 0.821, 11.1, 9.4, 14.9, 1.0, 33.9),
    "CARS ACT 8": (19.3, 33.1, 20.3, 32.3, 0.413, 0.760, 18.4, 15.0, 28.6, 1.2, 39.8),
    "CARS HM+ICS 8": (21.0, 23.3, 23.1, 22.2, 0.698, 0.415, 31.2, 38.0, 47.8, 9.6, 47.9),
    "SOP none": (0.1, 99.3, 0.2, 99.1, 0.845, 1.685, 0.0, 0.0, 6.3, 0.0, 4.0),
    "SOP HM 8": (29.9, 4.7, 31.6, 3.6, 0.455, 0.283, 39.3, 40.9, 38.8, 43.0, 61.7),
}


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_rows(row):
    *components, score = PUBLISHED[row]
    found = robustness_score(dict(zip(NORMALISED, components, strict=True)))
    assert found == pytest.approx(score, abs=0.051)  # printed with one decimal


def test_what_is_missing_unknown_or_no_number_is_named():
    components = dict(zip(NORMALISED, PUBLISHED["SOP none"], strict=False))
    with pytest.raises(GauntletError, match="es_d"):
        robustness_score({name: value for name, value in components.items() if name != "es_d"})
    with pytest.raises(GauntletError, match="ca plus"):
        robustness_score({**components, "ca plus": 1.0})
    with pytest.raises(GauntletError, match="not finite: tma"):
        robustness_score({**components, "tma": float("nan")})
