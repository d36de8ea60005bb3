"""Several targets and restarts as copies of one network in one program.

Small networks leave most of an iteration to overhead, so K copies together take far less than K times one.
They never mix: each gets what it would get alone, up to rounding. A copy that was observed in E rounds takes
E *rows*, since each round has weights of its own; rows are ordered by copy, then by round.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.inversion.observation import Observation
from gauntlet.models.copies import copies


class Problem:
    """What an iteration needs.

    Args:
        net: the network, in eval mode; its own weights are not used.
        observations: per copy, its rounds; all of one structure (``observation.alike``).
        classes: how many logits.

    Attributes:
        copies, rounds: K and E; ``rows`` = K E.
        images, batch, epochs, steps: of each observation.
        parameters: the weights that the server sent, each (rows, ...), in the order of ``names``.
        update: ``before - after`` of each parameter.
        gradient: the update in units of one gradient, ``update / (lr steps)``; where a rate is unknown
            it is taken as 1, so that only the direction has a meaning.
        lr: (rows,) learning rates; None where one is unknown.
    """

    def __init__(self, net: nn.Module, observations: list[list[Observation]], classes: int):
        first = observations[0][0]
        self.copies, self.rounds, self.classes = len(observations), len(observations[0]), classes
        self.images, self.batch = first.images, first.batch
        self.epochs, self.steps = first.epochs, first.steps
        every = [one for rounds in observations for one in rounds]
        self.rows = len(every)
        self.names = [name for name, _ in net.named_parameters()]
        like = next(net.parameters())
        self.device, self.dtype = like.device, like.dtype

        def stack(pick: str, name: str) -> Tensor:
            return torch.stack([getattr(one, pick)[name].detach() for one in every]).to(like)

        self.parameters = [stack("weights", name) for name in self.names]
        self.update = [stack("update", name) for name in self.names]
        rates = [one.lr for one in every]
        self.lr = None if None in rates else torch.tensor(rates).to(like)
        scale = self.steps * (torch.ones(self.rows).to(like) if self.lr is None else self.lr)
        self.gradient = [value / spread(scale, value) for value in self.update]
        self._buffers = {name: stack("weights", name) for name in first.weights if name not in self.names}
        self._run = copies(net, twice=True)

    def gradients(self, parameters: list[Tensor], images: Tensor, targets: Tensor) -> list[Tensor]:
        """Gradients of the mean cross-entropy, differentiable in everything.

        Args:
            parameters: each (rows, ...), with ``requires_grad``.
            images: (rows, b, C, H, W) in [0, 1].
            targets: (rows, b, classes), class probabilities.

        Returns: like ``parameters``.
        """
        tensors = self._buffers | dict(zip(self.names, parameters, strict=True))
        losses = -(targets * self._run(tensors, images, training=False).log_softmax(-1)).sum(-1).mean(1)
        return list(torch.autograd.grad(losses.sum(), parameters, create_graph=True, materialize_grads=True))

    def needs_rate(self, why: str) -> None:
        """Raises GauntletError when a learning rate is unknown; ``why`` it matters."""
        if self.lr is None:
            raise GauntletError(
                f"{why}, but an observation has no learning rate",
                remedy="give its lr, or choose a method that matches directions only (ig, agic, sme)",
            )


def spread(values: Tensor, like: Tensor) -> Tensor:
    """(rows,) -> (rows, 1, ...), to multiply ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))
