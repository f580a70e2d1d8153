"""The geometric mean of the losses."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule


class Geometric(Weighting):
    r"""The geometric mean of the losses: ``L = n (prod_t (L_t + eps))^(1/n)``.

    Also known as GLS, the geometric loss strategy, over the ``n`` tasks in the batch.  A task
    weighs as the inverse of its loss, whatever the scale of it, with nothing to learn.

    Parameters
    ----------
    eps : float, default=1e-2
        Added to the losses, above 0: bounds what a task can weigh whose loss is close to 0.

    Notes
    -----
    Departure: ``n`` times the mean, so that learning rate, weight decay and penalties mean what
    they mean with equal weights.  ``eps`` is 1e-2 in place of 0, since the loss of a batch with
    few labels of a task is close to 0 by chance.  With 92% of the labels missing and batches of
    16 rows, mean test R2 of six regressions was 0.47 with 1e-8 and 0.56 with 1e-2 (equal
    weights: 0.66); with all labels it was 0.93 either way (as in
    tests/weighting/test_missing.py, over six tables).

    References
    ----------
    S. Chennupati, G. Sistu, S. Yogamani, S. A. Rawashdeh: MultiNet++: Multi-Stream Feature
    Aggregation and Geometric Loss Strategy for Multi-Task Learning, CVPR Workshops 2019,
    arXiv:1904.08492.

    Examples
    --------
    >>> from skmtl.weighting import Geometric
    >>> Geometric(eps=1e-4)
    Geometric(eps=0.0001)
    """

    alias = "geometric"

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
        return _Geometric(check_number(self.eps, "eps", above=True))


class _Geometric(WeightingModule):
    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        counted = present.to(losses.dtype)
        return counted.sum(-1) * _mean(losses + self.eps, counted)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        counted = present.to(losses.dtype)
        losses = losses + self.eps
        return _mean(losses, counted).unsqueeze(1) * counted / losses


def _mean(losses: Tensor, counted: Tensor) -> Tensor:
    """Compute the geometric mean over the tasks that count, shape (member,)."""
    # clamp_min: 1 in place of 0 / 0 where no task has a label.
    shares = counted / counted.sum(-1, keepdim=True).clamp_min(1.0)
    return (losses.log() * shares).sum(1).exp()
