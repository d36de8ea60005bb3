"""What anyone could guess: the baseline that every attack on an attribute is compared with."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression

from gauntlet.attributes.learned import Learned
from gauntlet.core.registry import register


@register("attribute_inference", "imputation")
class Imputation(Learned):
    """Logistic regression from the label and other public features to the attribute: what it finds is
    correlation, not leakage (Jayaraman and Evans 2022, arXiv 2209.01292)."""

    leaked = False

    def classifier(self, seed: int) -> LogisticRegression:
        return LogisticRegression(max_iter=1000)
