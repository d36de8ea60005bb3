"""The length of a candidate's gradient (Nasr et al. 2019, arXiv 1812.00910): a white box."""

from __future__ import annotations

import numpy as np
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence
from gauntlet.membership.threshold import Threshold
from gauntlet.models import gradients
from gauntlet.models.copies import State, state_of


@register("membership", "gradient_norm")
class GradientNorm(Threshold):
    """``-||grad_w CE(x, y)||_2`` over all parameters: members have a small gradient."""

    needs = ("net", "images")

    def of_target(self, evidence: Evidence) -> np.ndarray:
        return self._norms(evidence, state_of(evidence.net))

    def of_shadows(self, evidence: Evidence) -> np.ndarray:
        if evidence.shadows.states is None:
            raise GauntletError(
                "gradients of the shadow models need the models, not their logits alone",
                key="evaluate.attacks",
                remedy="set per_class: false",
            )
        return np.stack([self._norms(evidence, state) for state in evidence.shadows.states])

    def _norms(self, evidence: Evidence, state: State) -> np.ndarray:
        blocks = gradients.of_examples(evidence.net, state, evidence.images, evidence.labels)
        return -torch.cat([block.norm(dim=1) for block in blocks]).double().cpu().numpy()
