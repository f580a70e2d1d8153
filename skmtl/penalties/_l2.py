"""Sum of squared weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skmtl.penalties._base import Penalty, PenaltyModule


class L2(Penalty):
    """``Omega = strength * sum w**2 / 2``: shrinks weights, through the gradient.

    Under Adam it differs from decoupled weight decay, since its gradient is rescaled like
    any other.

    Parameters
    ----------
    strength : float, default=1e-4
        Factor, at least 0.
    part : {"all", "input", "trunk", "sharing", "heads"}, default="all"
        Which weights.

    References
    ----------
    A. Krogh, J. Hertz: A Simple Weight Decay Can Improve Generalization, NIPS 1991,
    equation (2).

    Examples
    --------
    >>> from skmtl.penalties import L2
    >>> L2(1e-3, part="heads")
    L2(part='heads', strength=0.001)
    """

    alias = "l2"

    def build(self, layout: Any, n_members: int) -> PenaltyModule:
        """Build the term."""
        return _L2(self, n_members)


class _L2(PenaltyModule):
    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        return torch.stack([weight.square().sum() for weight in weights]).sum() / 2
