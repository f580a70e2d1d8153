"""Weights by chance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._shares import task_shares


class RandomWeighting(Weighting):
    r"""Weights drawn anew for every batch: ``w = n softmax(z)``, ``z_t ~ N(0, 1)``.

    ``n`` is the number of tasks in the batch.  A litmus test: a weighting that does no better
    than chance has learned nothing of the tasks.

    Notes
    -----
    The loss that is recorded is the one with the expected weights, which are equal.

    Departure: weights sum to the number of tasks in the batch, not to 1, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.

    References
    ----------
    B. Lin, F. Ye, Y. Zhang, I. W. Tsang: Reasonable Effectiveness of Random Weighting: A
    Litmus Test for Multi-Task Learning, TMLR 2022, arXiv:2111.10603 (RLW, normal).

    Examples
    --------
    >>> from skmtl.weighting import RandomWeighting
    >>> RandomWeighting()
    RandomWeighting()
    """

    alias = "random"
    draws = True

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with a generator of its own.

        Parameters
        ----------
        layout : Layout
            Ignored.
        n_members : int
            Ignored.
        seeds : Seeds
            Seed the generator.

        Returns
        -------
        WeightingModule
            Draws weights.
        """
        return _RandomWeighting(torch.Generator().manual_seed(seeds.draw()))


class _RandomWeighting(WeightingModule):
    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (losses * present).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        # For absent tasks too: what the others draw does not depend on them.
        scores = torch.randn(losses.shape, generator=self._generator, dtype=losses.dtype)
        return task_shares(scores.to(losses.device), present)
