"""One sign per coordinate of the gradient, by chance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_choice, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._gramian import WRT

#: Steps between two records of the shares, which take as long to find as a direction.
RECORD_EVERY = 8


class GradDrop(Weighting):
    r"""One sign per coordinate, drawn by how far the tasks agree on it.

    With the positive sign purity ``P = (1 + sum_t g_t / sum_t |g_t|) / 2`` of a coordinate, the
    tasks' positive entries are kept with probability ``P``, else the negative ones; the sum of
    what is kept is the direction.  Use it where tasks pull single weights to and fro: noise
    then leads to points that suit all of them.

    Parameters
    ----------
    leak : float, default=0.0
        Share of what is dropped that still counts, in [0, 1]; 1: equal weights.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.

    Notes
    -----
    The recorded weights are the shares of the tasks' squared gradients that were kept, found in
    every eighth step: the direction does without them.

    Departure: by the representation, signs are drawn for each row and feature by themselves,
    without the sum over rows that the paper takes first where tasks have rows of their own.
    The function ``f`` of the purity is the identity, and all tasks have one leak.

    References
    ----------
    Z. Chen, J. Ngiam, Y. Huang, T. Luong, H. Kretzschmar, Y. Chai, D. Anguelov: Just Pick a
    Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout, NeurIPS 2020,
    arXiv:2010.06808, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import GradDrop
    >>> GradDrop(leak=0.2)
    GradDrop(leak=0.2)
    """

    alias = "graddrop"
    draws = True
    needs_gradients = True

    def __init__(self, leak: float = 0.0, wrt: str = "auto") -> None:
        self.leak = leak
        self.wrt = wrt

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"leak": 0.3}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module that draws signs.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Seeds the signs.

        Returns
        -------
        WeightingModule
            Reads the tasks' gradients.
        """
        return _GradDrop(self, n_members, layout.n_tasks, seeds.draw())


class _GradDrop(WeightingModule):
    needs_gradients = True
    weights: Tensor

    def __init__(self, method: GradDrop, n_members: int, n_tasks: int, seed: int) -> None:
        super().__init__()
        self.leak = check_number(method.leak, "leak", most=1.0)
        self.wrt = check_choice(method.wrt, "wrt", WRT)
        self.generator = torch.Generator().manual_seed(seed)
        self._records = EverySteps(RECORD_EVERY)
        self.register_buffer("weights", torch.ones(n_members, n_tasks))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        rows = gradients.jacobian
        # Two passes over the rows; all else is as long as one of them.
        total, size = rows.sum(1), rows.abs().sum(1)
        tiny = torch.finfo(rows.dtype).tiny  # against 0 / 0
        purity = (1 + total / size.clamp_min(tiny)) / 2
        drawn = torch.rand(purity.shape, generator=self.generator, dtype=purity.dtype)
        sign = (purity > drawn.to(purity.device)).to(rows.dtype).mul_(2).sub_(1)
        if self._records.is_due():
            self.weights = torch.where(present, self._shares(rows, sign), self.weights)
        # (size + sign * total) / 2 is the length of what is kept, the rest of size leaks.
        vector = ((1 + self.leak) * total + (1 - self.leak) * sign * size) / 2
        return Direction(self.weights * present, vector)

    def _shares(self, rows: Tensor, sign: Tensor) -> Tensor:
        """Compute the shares of the squared lengths that are kept, (member, task)."""
        sizes = rows.abs()
        squares = (sizes * sizes).sum(2)
        signed = ((rows * sizes) @ sign.unsqueeze(2)).squeeze(2)
        leaks = self.leak**2
        kept = ((1 + leaks) * squares + (1 - leaks) * signed) / 2
        # Nothing was taken from a gradient of 0.
        return torch.where(squares > 0, kept / squares, 1.0)
