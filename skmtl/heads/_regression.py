"""Regression of one number or several."""

from __future__ import annotations

from torch import Tensor

from skmtl.heads._base import Head


class RegressionHead(Head):
    """Squared error on standardised targets, identity link.

    ``loss = mean over the labelled columns of (z - y)**2``.  The best constant model has a
    loss of about 1.

    References
    ----------
    C. M. Bishop: Pattern Recognition and Machine Learning, 2006, equation (5.14).
    """

    alias = "regression"
    kind = "regression"
    weight_per_output = True
    likelihood_factor = 0.5

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one output per column."""
        return n_columns

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the numbers as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute squared errors and their gradients."""
        error = z - y
        weighted = error * w
        losses = (weighted * error).sum((-2, -1))
        return losses, weighted.mul_(2.0)

    def link(self, z: Tensor) -> Tensor:
        """Return the outputs: standardised numbers."""
        return z

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the mean."""
        return z.mean(-4)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the mean of the targets."""
        return self.weighted_mean(y, w)
