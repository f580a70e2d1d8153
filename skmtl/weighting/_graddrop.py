"""One sign per coordinate of the gradient, by chance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_choice, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._gramian import WRT


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
        By what gradients are taken: the representation that all heads read, or all parameters
        of trunk and sharing.  ``"auto"``: the former where there is one.

    Notes
    -----
    The recorded weights are the shares of the tasks' squared gradients that were kept.

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
            Ignored.
        n_members : int
            Ignored.
        seeds : Seeds
            Seeds the signs.

        Returns
        -------
        WeightingModule
            Reads the tasks' gradients.
        """
        leak = check_number(self.leak, "leak", most=1.0)
        generator = torch.Generator().manual_seed(seeds.draw())
        return _GradDrop(leak, check_choice(self.wrt, "wrt", WRT), generator)


class _GradDrop(WeightingModule):
    needs_gradients = True

    def __init__(self, leak: float, wrt: str, generator: torch.Generator) -> None:
        super().__init__()
        self.leak = leak
        self.wrt = wrt
        self.generator = generator

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        rows = gradients.jacobian
        tiny = torch.finfo(rows.dtype).tiny  # against 0 / 0
        purity = (1 + rows.sum(1) / rows.abs().sum(1).clamp_min(tiny)) / 2
        drawn = torch.rand(purity.shape, generator=self.generator, dtype=purity.dtype)
        positive = (purity > drawn.to(purity.device)).unsqueeze(1)
        kept = torch.where((rows > 0) == positive, rows, self.leak * rows)
        lengths = rows.norm(dim=2)
        share = (kept.norm(dim=2) / torch.where(lengths > 0, lengths, 1.0)).square()
        # Nothing was taken from a gradient of 0.
        weights = torch.where(lengths > 0, share, 1.0) * present
        return Direction(weights, kept.sum(1))
