"""Sum of absolute weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skmtl.penalties._base import Penalty


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

    def value(self, weights: Sequence[Tensor]) -> Tensor:
        """Return the sum of absolute weights."""
        return torch.stack([weight.abs().sum() for weight in weights]).sum()
