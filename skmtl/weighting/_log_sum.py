"""The sum of the logarithms of the losses."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule


class LogSum(Weighting):
    r"""Logarithms of the losses: ``L = sum_t log(L_t + eps)``.

    Also known as the scale-invariant baseline: a task weighs ``1 / L_t``, whatever the scale
    of its loss, with nothing to learn.

    Parameters
    ----------
    eps : float, default=1e-2
        Added to the losses, above 0: bounds what a task can weigh whose loss is close to 0.

    Notes
    -----
    Weights are 1 where losses are 1, as normalised ones are before training, and grow as the
    losses fall; penalties and weight decay then weigh less.

    Departure: ``eps`` is 1e-2, not 1e-8 or so, since the loss of a batch with few labels of a
    task is close to 0 by chance.  With 92% of the labels missing and batches of 16 rows, mean
    test R2 of six regressions was 0.28 with 1e-8 and 0.57 with 1e-2 (equal weights: 0.66); with
    all labels it was 0.94 either way (as in tests/weighting/test_missing.py, over six tables).

    References
    ----------
    A. Navon et al.: Multi-Task Learning as a Bargaining Game, ICML 2022, arXiv:2202.01017
    (the baseline SI).

    Examples
    --------
    >>> from skmtl.weighting import LogSum
    >>> LogSum(eps=1e-4)
    LogSum(eps=0.0001)
    """

    alias = "log_sum"

    def __init__(self, eps: float = 1e-2) -> None:
        self.eps = eps

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"eps": 1e-8}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module without state.

        Parameters
        ----------
        layout : Layout
            Ignored.
        n_members : int
            Ignored.
        seeds : Seeds
            Ignored.

        Returns
        -------
        WeightingModule
            Reads the losses of the batch.
        """
        return _LogSum(check_number(self.eps, "eps", above=True))


class _LogSum(WeightingModule):
    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return ((losses + self.eps).log() * present).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        return present / (losses + self.eps)
