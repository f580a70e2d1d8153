"""Sum of absolute weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skmtl.penalties._base import Penalty, PenaltyModule


class L1(Penalty):
    """``Omega = strength * sum |w|``: pulls weights to zero.

    Parameters
    ----------
    strength : float, default=1e-4
        Factor, at least 0.
    part : {"all", "input", "trunk", "sharing", "heads"}, default="all"
        Which weights.

    References
    ----------
    R. Tibshirani: Regression Shrinkage and Selection via the Lasso, JRSS B 58, 1996.

    Examples
    --------
    >>> from skmtl.penalties import L1
    >>> L1(1e-3, part="input")
    L1(part='input', strength=0.001)
    """

    alias = "l1"

    def build(self, layout: Any, n_members: int) -> PenaltyModule:
        """Build the term."""
        return _L1(self, n_members)


class _L1(PenaltyModule):
    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        return torch.stack([weight.abs().sum() for weight in weights]).sum()
