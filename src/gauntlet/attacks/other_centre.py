"""Other centre: towards the nearest mean embedding of another class, away from that of the own class.

Maximises ``s(F(x'), c_t) - s(F(x'), c_y)``, s the cosine, c_k the mean clean embedding of class k, and t the
wrong class whose mean is nearest to the clean embedding, chosen once. Lowers recall; clustering scores
may even rise, as whole classes move together and the names of clusters do not count.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.geometry import BLOCK
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register


@register("attack", "other_centre")
class OtherCentre(Attack):
    """Args: ``clean``, whose gallery has the class means.

    Raises GauntletError when there is only one class.
    """

    def __init__(self, clean: Clean):
        if len(clean.class_sums) < 2:
            raise GauntletError("all test images are of one class", remedy="use more classes")
        queries, classes, centres = clean.queries, clean.classes, F.normalize(clean.class_sums)
        wrong = [
            (queries[rows] @ centres.T).scatter_(1, classes[rows, None], float("-inf")).argmax(1)
            for rows in torch.arange(len(queries), device=queries.device).split(BLOCK)
        ]
        self.towards, self.away = centres[torch.cat(wrong)], centres[classes]

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) differences of cosines, in [-2, 2], from perturbed ``embeddings`` (b, D) of ``rows`` (b,)."""
        towards = F.cosine_similarity(embeddings, self.towards[rows], dim=1)
        return towards - F.cosine_similarity(embeddings, self.away[rows], dim=1)
