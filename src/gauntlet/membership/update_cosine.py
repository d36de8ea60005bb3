"""A client's update against a candidate's gradient, for a server that sees both (Li et al. 2023, "Effective
passive membership inference attacks in federated learning against overparameterized models")."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.models import gradients


@register("membership", "update_cosine")
class UpdateCosine(Membership):
    """Mean over rounds of ``cos(-grad_w CE(x, y; w_t), w_t' - w_t)``, in [-1, 1], w_t' the client's model.

    Training on x moves the model down its gradient; gradients of different examples are nearly orthogonal
    where there are many parameters. A gradient or an update of length 0 counts 0.
    """

    needs = ("net", "images", "updates")

    def _scores(self, evidence: Evidence) -> np.ndarray:
        net, total = evidence.net, np.zeros(len(evidence.labels))
        for seen in evidence.updates:
            change = gradients.flat(net, seen.change)
            blocks = gradients.of_examples(net, seen.start, evidence.images, evidence.labels)
            cosines = [F.cosine_similarity(-block, change[None]) for block in blocks]
            total += torch.cat(cosines).double().cpu().numpy()
        return total / len(evidence.updates)
