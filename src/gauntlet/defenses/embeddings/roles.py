"""Triplets whose members are perturbed role by role: what the triplet defenses share."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.defenses.embeddings.base import Batch, Defense, Member
from gauntlet.losses.base import Triplets


class Roles(Defense):
    """Base of defenses that perturb anchors, positives or negatives of the triplets of clean images."""

    needs = "triplets"

    def loss(self, member: Member, batch: Batch) -> Tensor:
        clean = self.embed_clean(member, batch.images)
        triplets = self.setting.loss.mine(clean, batch.labels, member.generator)
        if len(triplets.anchor) == 0:  # all negatives are far enough: nothing to attack
            return self.metric_loss(member, batch.images, batch.labels, triplets)
        return self.triplet_loss(member, batch, clean, triplets)

    def triplet_loss(self, member: Member, batch: Batch, clean: Tensor, triplets: Triplets) -> Tensor:
        """The scalar that this member's update descends.

        Args:
            clean: (b, d) embeddings of the batch in eval mode, without gradients.
            triplets: those that they give, at least one.
        """
        raise NotImplementedError

    def copies_loss(self, member: Member, batch: Batch, triplets: Triplets, copies: Triplets) -> Tensor:
        """The metric loss where each role is played by an image of its own: a scalar.

        Args:
            triplets: rows of the batch, for the labels.
            copies: (t, C, H, W) images of each role.
        """
        return self.embedding_loss(
            member,
            member.embed(torch.cat(copies)),
            batch.labels[torch.cat(triplets)],
            in_order(len(triplets.anchor), batch.labels.device),
        )


def in_order(count: int, device: torch.device) -> Triplets:
    """Triplets of a batch that holds ``count`` anchors, then their positives, then their negatives."""
    return Triplets(*torch.arange(3 * count, device=device).view(3, count))


def distance(a: Tensor, b: Tensor) -> Tensor:
    """(t,) Euclidean distances of (t, d) vectors."""
    return torch.linalg.vector_norm(a - b, dim=1)
