import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from gauntlet.core.errors import GauntletError
from gauntlet.metrics.calibration import expected_calibration_error, scores, temperature


def sample(n=400, classes=4, sharp=1.0, seed=0):
    """Logits whose labels are drawn from them, then sharpened: ``sharp`` is the right temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 1.5
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in p])
    return logits * sharp, labels


def test_scores_agree_with_scikit_learn():
    logits, labels = sample()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = scores(logits, labels)
    assert found["accuracy"] == (p.argmax(1) == labels).mean()
    assert found["nll"] == pytest.approx(log_loss(labels, p))
    assert found["brier"] == pytest.approx(brier_score_loss(labels, p, scale_by_half=False))


def test_the_calibration_error_of_a_hand_worked_example():
    confidence = np.array([0.35, 0.35, 0.85, 0.95])
    hits = np.array([True, False, True, False])
    # Of two bins: (0, 0.5] has accuracy 0.5 at 0.35, (0.5, 1] accuracy 0.5 at 0.9.
    assert expected_calibration_error(confidence, hits, bins=2) == pytest.approx(0.5 * 0.15 + 0.5 * 0.4)
    # Of ten: 0.15 of two, 0.15 of one, 0.95 of one.
    assert expected_calibration_error(confidence, hits, bins=10) == pytest.approx(0.25 * (0.3 + 0.15 + 0.95))


@given(st.floats(0.3, 4), st.integers(0, 20))
def test_temperature_undoes_a_sharpening(sharp, seed):
    logits, labels = sample(seed=seed)
    base, found = temperature(logits, labels), temperature(logits * sharp, labels)
    assert found == pytest.approx(base * sharp, rel=1e-3)
    best = scores(logits / base, labels)["nll"]
    assert best <= min(scores(logits / t, labels)["nll"] for t in (0.9 * base, 1.1 * base))


def test_temperature_calibrates():
    logits, labels = sample(5000, sharp=3.0)
    t = temperature(logits, labels)
    assert t == pytest.approx(3.0, rel=0.1)
    assert scores(logits / t, labels)["ece"] < 0.03 < scores(logits, labels)["ece"]


@pytest.mark.parametrize(
    ("logits", "labels", "problem"),
    [
        (np.ones((2, 3)) * np.nan, [0, 1], "not finite"),
        (np.ones(3), [0, 1, 2], "shape"),
        (np.ones((2, 3)), [0, 3], "labels must be in 0..2"),
        (np.ones((2, 3)), [0], "expected 2 integer labels"),
    ],
)
def test_bad_input_is_named(logits, labels, problem):
    with pytest.raises(GauntletError, match=problem):
        scores(logits, labels)
