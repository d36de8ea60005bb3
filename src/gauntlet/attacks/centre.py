"""Own centre: push every embedding away from the mean clean embedding of its class.

Maximises ``-s(F(x'), c_y)``, s the cosine. Classes of the test set were never trained on, so class
means stand in for proxies. Pushing towards a *wrong* centre instead would leave clustering scores
intact, which ignore cluster names: whole classes would move together.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.core.registry import register


@register("attack", "centre")
class Centre(Attack):
    """Args: ``clean``, whose gallery has the class means."""

    def __init__(self, clean: Clean):
        self.own_centre = F.normalize(clean.class_sums)[clean.classes]

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) negated cosines of perturbed ``embeddings`` (b, D) to the class means of ``rows`` (b,)."""
        return -F.cosine_similarity(embeddings, self.own_centre[rows], dim=1)
