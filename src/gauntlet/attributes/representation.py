"""The attribute from features (Song and Shmatikov 2020, arXiv 1905.11742, "overlearning")."""

from __future__ import annotations

from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from gauntlet.attributes.learned import Learned
from gauntlet.core.registry import register


@register("attribute_inference", "representation")
class Representation(Learned):
    """A classifier from features of auxiliary data, under the released model, to the attribute.

    Args:
        hidden: 0 is a logistic regression; else a network with one hidden layer of so many units.
        c: inverse weight of the regression's L2 penalty.
    """

    def __init__(self, hidden: int = 0, c: float = 1.0):
        self.hidden, self.c = hidden, c

    def classifier(self, seed: int) -> ClassifierMixin:
        if self.hidden:
            return MLPClassifier((self.hidden,), solver="lbfgs", alpha=0.1, max_iter=1000, random_state=seed)
        return LogisticRegression(C=self.c, max_iter=1000)
