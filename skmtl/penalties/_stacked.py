"""The same penalty of several nets, each with its own strength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmtl.penalties._base import PenaltyModule


class StackedPenalty(PenaltyModule):
    """One term of Omega for several nets, with its factors.

    Parameters
    ----------
    parts : sequence of PenaltyModule
        One after the other along the members: of one class, for the same part of the network.
    sizes : sequence of int
        Members of each.
    """

    def __init__(self, parts: Sequence[PenaltyModule], sizes: Sequence[int]) -> None:
        nn.Module.__init__(self)
        self.parts = nn.ModuleList(parts)
        self.sizes = list(sizes)
        self.strength = 1.0
        self.part = parts[0].part
        self.reads_losses = parts[0].reads_losses  # type: ignore[misc]

    @property
    def _listed(self) -> list[Any]:
        return list(self.parts)

    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        """Compute the sum of the nets' terms."""
        n_members = sum(self.sizes)
        copies = [len(weight) // n_members for weight in weights]
        split = [
            weight.split([n * size for size in self.sizes])
            for weight, n in zip(weights, copies, strict=True)
        ]
        terms = [
            part.strength * part.of_weights(own)
            for part, own in zip(self._listed, zip(*split, strict=True), strict=True)
        ]
        return torch.stack(terms).sum()

    def of_losses(self, losses: Tensor, present: Tensor) -> Tensor:
        """Compute the sum of the nets' terms."""
        present = present.expand_as(losses)  # (member, task)
        split = zip(losses.split(self.sizes), present.split(self.sizes), strict=True)
        terms = [
            part.strength * part.of_losses(*own)
            for part, own in zip(self._listed, split, strict=True)
        ]
        return torch.stack(terms).sum()
