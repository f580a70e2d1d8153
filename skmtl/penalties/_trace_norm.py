"""Trace norm of the stacked heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from skmtl.layers import trace_norm
from skmtl.penalties._base import Penalty, PenaltyModule


class TraceNorm(Penalty):
    """``Omega = strength * |W|_*``, the sum of singular values of the heads' weights.

    W has a column for each output of each task: with few singular values the heads of all
    tasks lie in a common subspace of the representation that they share.

    Parameters
    ----------
    strength : float, default=1e-4
        Factor, at least 0.
    part : {"heads"}, default="heads"
        The output layer of the heads.

    References
    ----------
    T. K. Pong, P. Tseng, S. Ji, J. Ye: Trace Norm Regularization: Reformulations, Algorithms,
    and Multi-task Learning, SIAM Journal on Optimization 20, 2010.

    Examples
    --------
    >>> from skmtl.penalties import TraceNorm
    >>> TraceNorm(0.01)
    TraceNorm(strength=0.01)
    """

    alias = "trace_norm"
    parts: ClassVar[tuple[str, ...]] = ("heads",)

    def __init__(self, strength: float = 1e-4, part: str = "heads") -> None:
        self.strength = strength
        self.part = part

    def build(self, layout: Any, n_members: int) -> PenaltyModule:
        """Build the term."""
        return _TraceNorm(self, n_members)


class _TraceNorm(PenaltyModule):
    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        return trace_norm(weights[-1]).sum()  # the output layer, (member, feature, output row)
