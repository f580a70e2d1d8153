"""Regression by errors that are squared when small and absolute when large."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.heads._base import Head

#: Halvings of the range in which the best constant is sought: to the last bit of float32.
HALVINGS = 40


class HuberHead(Head):
    """Huber's loss on standardised targets, identity link.

    ``loss = mean over the labelled columns of e**2 if |e| <= delta, else
    delta (2 |e| - delta)``, with ``e = z - y``.  Large deltas give squared errors.

    Parameters
    ----------
    delta : float, default=1.0
        Error from which on the loss is linear, in units of the target's scale.

    Notes
    -----
    Twice Huber's loss, so that it is that of :class:`RegressionHead` within delta.

    References
    ----------
    P. J. Huber: Robust Estimation of a Location Parameter, Annals of Mathematical Statistics
    35, 1964.
    """

    alias = "huber_regression"
    kind = "regression"
    weight_per_output = True
    likelihood_factor = 0.5

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"delta": 0.3}]

    def n_outputs(self, n_columns: int, n_classes: int) -> int:
        """Return one output per column."""
        return n_columns

    def encode(self, values: Tensor, n_outputs: int) -> Tensor:
        """Return the numbers as they are."""
        return values

    def loss_and_gradient(self, z: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Compute Huber losses and their gradients."""
        error = z - y
        clipped = error.clamp(-self.delta, self.delta)
        # Within delta e^2, beyond it delta (2 |e| - delta): both are c (2 e - c).
        losses = (error.mul_(2.0).sub_(clipped).mul_(clipped)).mul_(w).sum((-2, -1))
        return losses, clipped.mul_(w).mul_(2.0)

    def link(self, z: Tensor) -> Tensor:
        """Return the outputs: standardised numbers."""
        return z

    def mean_outputs(self, z: Tensor) -> Tensor:
        """Return the mean."""
        return z.mean(-4)

    def null_outputs(self, y: Tensor, w: Tensor) -> Tensor:
        """Return the constant at which the clipped errors sum to 0."""
        y, w = torch.broadcast_tensors(y, w)
        labelled = w > 0
        low = torch.where(labelled, y, torch.inf).amin(-1, keepdim=True)
        high = torch.where(labelled, y, -torch.inf).amax(-1, keepdim=True)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            slope = ((middle - y).clamp(-self.delta, self.delta) * w).sum(-1, keepdim=True)
            low = torch.where(slope < 0, middle, low)
            high = torch.where(slope < 0, high, middle)
        return torch.where(labelled.any(-1, keepdim=True), (low + high) / 2, 0.0)
