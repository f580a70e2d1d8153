"""Logarithms of the losses, and gradients of one length."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_number, check_probability
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._task_rows import TaskAverages


class DBMTL(Weighting):
    r"""Averaged gradients of the losses' logarithms, all as long as the longest.

    ``y_t <- b y_t + (1 - b) g_t / (L_t + eps)`` with ``b = beta / k^sigma`` at the k-th batch with a
    label of task t, and ``d = mean(L) max_s ||y_s|| sum_t y_t / ||y_t||``.  Use it where losses
    and gradients are on different scales: every task pulls equally strongly.

    Parameters
    ----------
    beta : float, default=0.9
        Decay of the running averages, in [0, 1); 0: none.
    sigma : float, default=0.0
        How fast the decay itself fades, at least 0.
    eps : float, default=1e-2
        Added to the losses, above 0: bounds what a batch can count whose loss is close to 0.

    Notes
    -----
    Gradients are with respect to all parameters of trunk and sharing, since averages over batches
    make no sense for the representation of other rows.  They take the memory of one more copy of
    these parameters per task.  The recorded weights are those of the batch's gradients, as if
    they were the averages.

    Departure: the direction is multiplied by the mean loss of the batch's tasks, and averages are
    divided by what an average of ones would be, so that learning rate, weight decay and
    penalties mean what they mean with equal weights.  Heads follow their losses, not the
    logarithms.

    Departure: ``eps`` is 1e-2, not 1e-8, since the loss of a batch with few labels of a task is
    close to 0 by chance.  With 80% of the labels missing and batches of 16 rows, mean test R2 of
    six regressions was 0.84 with 1e-8 and 0.88 with 1e-2 (equal weights: 0.88), with 92% 0.60
    and 0.67 (0.66); with all labels it was 0.93 either way (as in
    tests/weighting/test_missing.py, over six tables).

    References
    ----------
    B. Lin, W. Jiang, F. Ye, Y. Zhang, P. Chen, Y.-C. Chen, S. Liu, I. W. Tsang, J. T. Kwok:
    Dual-Balancing for Multi-Task Learning, 2023, arXiv:2308.12029.

    Examples
    --------
    >>> from skmtl.weighting import DBMTL
    >>> DBMTL(beta=0.5)
    DBMTL(beta=0.5)
    """

    alias = "db_mtl"
    needs_gradients = True

    def __init__(self, beta: float = 0.9, sigma: float = 0.0, eps: float = 1e-2) -> None:
        self.beta = beta
        self.sigma = sigma
        self.eps = eps

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"beta": 0.0}, {"beta": 0.5, "sigma": 0.5, "eps": 1e-8}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module without averages so far.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Ignored.

        Returns
        -------
        WeightingModule
            Averages the tasks' gradients by parameters.
        """
        return _DBMTL(self, n_members, layout.n_tasks)


class _DBMTL(WeightingModule):
    needs_gradients = True
    wrt = "parameters"
    weights: Tensor

    def __init__(self, method: DBMTL, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.beta = check_probability(method.beta, "beta")
        self.sigma = check_number(method.sigma, "sigma")
        self.eps = check_number(method.eps, "eps", above=True)
        self.averages = TaskAverages(n_members, n_tasks)
        self.register_buffer("weights", torch.ones(n_members, n_tasks))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        by_log = (losses + self.eps).reciprocal()
        averages = self.averages.step(gradients.jacobian * by_log.unsqueeze(2), present, self._rate)
        norms = averages.norm(dim=2)  # (member, task)
        safe = torch.where(norms > 0, norms, torch.inf)  # a gradient of 0 stays 0
        mean = losses.sum(1, keepdim=True) / present.sum(-1, keepdim=True).clamp_min(1)
        length = mean * norms.amax(1, keepdim=True)
        factors = length / safe
        self.weights = torch.where(present, factors * by_log, self.weights)
        vector = (factors.unsqueeze(1) @ averages).squeeze(1)
        return Direction(self.weights * present, vector)

    def _rate(self, count: Tensor) -> Tensor:
        return 1 - self.beta / count**self.sigma
