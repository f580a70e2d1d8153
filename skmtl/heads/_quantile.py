"""Several quantiles of one number."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skmtl.heads._base import Head
from skmtl.heads._ordered import Ordered


class QuantileHead(Head):
    """Pinball loss of quantiles that cannot cross, on standardised targets.

    ``loss = mean over levels of max(tau (y - q_tau), (tau - 1) (y - q_tau))``.

    Use it where the spread of y around its prediction matters, and changes with x: delays,
    prices, energy.  The output of the middle level is that quantile; those of the others are
    steps away from it, made positive by softplus, so that ``q_tau`` rises with tau for each x,
    in training and prediction alike.

    Parameters
    ----------
    quantiles : tuple of float, default=(0.1, 0.5, 0.9)
        The levels tau, rising, in (0, 1).

    Notes
    -----
    Departure: Koenker and Bassett fit each level by itself, so that fitted quantiles may cross;
    here they share a network and are ordered by construction, as in later work on such nets.

    References
    ----------
    R. Koenker, G. Bassett: Regression Quantiles, Econometrica 46, 1978.
    """

    alias = "quantile"
    kind = "quantile"
    likelihood_factor = 0.5  # asymmetric Laplace, as for absolute errors

    def __init__(self, quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)) -> None:
        self.quantiles = quantiles

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"quantiles": (0.3,)}, {"quantiles": (0.05, 0.2, 0.6, 0.7, 0.8)}]

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one output per level."""
        return len(self.quantiles)

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the number once for each level."""
        return values.expand(-1, n_outputs)

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute pinball losses and their gradients."""
        levels = _column(self.quantiles, z.dtype, z.device)
        q = self._ordered(z)
        # The slope of a loss by q: 1 - tau above the label, -tau at and below it.
        slopes = (q > y).to(z.dtype).sub_(levels)
        share = w / len(self.quantiles)
        losses = ((q - y) * slopes).mul_(share).sum((-2, -1))
        return losses, self._ordered.backward(z, slopes.mul_(share))

    def link(self, z: Tensor) -> Tensor:
        """Return the quantiles, standardised, from the lowest level to the highest."""
        return self._ordered(z)

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the outputs of the mean quantiles."""
        ordered = self._ordered
        at = slice(ordered.anchor, ordered.anchor + 1)
        steps = F.softplus(ordered.steps(z)).mean(-4)
        return ordered.invert(z[..., at, :].mean(-4), steps)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the outputs of the quantiles of the targets."""
        ordered = self._ordered
        # Every row of a task is the same number.
        q = self.weighted_quantiles(y[..., :1, :], w, self.quantiles).mT
        # Where two quantiles are alike, the step between them is as good as 0.
        steps = q.diff(dim=-2).clamp_min(1e-7)
        return ordered.invert(q[..., ordered.anchor : ordered.anchor + 1, :], steps)

    @property
    def _ordered(self) -> Ordered:
        return Ordered(len(self.quantiles), len(self.quantiles) // 2)


@lru_cache(maxsize=64)
def _column(levels: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the levels, shape (output, sample=1), copied to a device once."""
    with torch.inference_mode(False):
        return torch.tensor(levels, dtype=dtype, device=device)[:, None]
