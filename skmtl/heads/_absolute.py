"""Regression by absolute errors."""

from __future__ import annotations

import torch
from torch import Tensor

from skmtl.heads._base import Head


class AbsoluteHead(Head):
    """Absolute error on standardised targets, identity link.

    ``loss = mean over the labelled columns of |z - y|``.  The outputs are conditional medians.

    References
    ----------
    R. Koenker, G. Bassett: Regression Quantiles, Econometrica 46, 1978 (the level 1/2).
    """

    alias = "absolute_regression"
    kind = "regression"
    weight_per_output = True
    likelihood_factor = 0.5  # Laplace of scale sigma^2

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one output per column."""
        return n_columns

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the numbers as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute absolute errors and their gradients."""
        error = z - y
        losses = error.abs().mul_(w).sum((-2, -1))
        return losses, torch.sign(error).mul_(w)

    def link(self, z: Tensor) -> Tensor:
        """Return the outputs: standardised numbers."""
        return z

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the mean."""
        return z.mean(-4)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the median of the targets."""
        return self.weighted_quantiles(y, w, (0.5,))
