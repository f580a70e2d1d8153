"""A smooth maximum of the losses, each relative to where it stood after a warm-up."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_number, check_whole
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._shares import ABSENT, LOSS_FLOOR, task_shares


class STCH(Weighting):
    r"""Smooth Tchebycheff: ``L = n mu log sum_t exp(log(L_t / N_t) / mu)``.

    A smooth maximum over the ``n`` tasks in the batch of how far their losses have come since
    the end of a warm-up with equal weights, where they stood at ``N_t``.  The weights are
    ``n p_t / L_t``, ``p = softmax(log(L_t / N_t) / mu)``: with a small ``mu`` the task that
    has improved least is followed almost alone, with 1 all of them, each relative to its
    ``N_t``.  Use it where no task shall be left behind.

    Parameters
    ----------
    mu : float, default=1.0
        Above 0; the smaller, the closer to the maximum.
    warmup_epochs : int, default=4
        Epochs with equal weights, at least 1.

    Notes
    -----
    ``N_t`` is the task's mean loss in the last epoch of the warm-up.  Weights grow as losses
    fall, as after any logarithm; penalties and weight decay then weigh less.

    Departure: a task without a label in that epoch has the weight 1 until the end of the next
    epoch in which it has some, and that epoch's mean for ``N_t``.  The warm-up adds up the
    losses; in LibMTL it adds up their logarithms.

    References
    ----------
    X. Lin, X. Zhang, Z. Yang, F. Liu, Z. Wang, Q. Zhang: Smooth Tchebycheff Scalarization for
    Multi-Objective Optimization, ICML 2024, arXiv:2402.19078; logarithms, ``N_t``, the factor
    ``n`` and the defaults as in its code for several tasks and in LibMTL.

    Examples
    --------
    >>> from skmtl.weighting import STCH
    >>> STCH(mu=0.5)
    STCH(mu=0.5)
    """

    alias = "stch"

    def __init__(self, mu: float = 1.0, warmup_epochs: int = 4) -> None:
        self.mu = mu
        self.warmup_epochs = warmup_epochs

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"mu": 0.1, "warmup_epochs": 1}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module that has yet to warm up.

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
            Counts epochs, and remembers the losses at the end of the warm-up.
        """
        mu = check_number(self.mu, "mu", above=True)
        warmup_epochs = check_whole(self.warmup_epochs, "warmup_epochs", 1)
        return _STCH(n_members, layout.n_tasks, mu, warmup_epochs)


class _STCH(WeightingModule):
    log_nadir: Tensor
    is_known: Tensor
    n_epochs: Tensor

    def __init__(self, n_members: int, n_tasks: int, mu: float, warmup_epochs: int) -> None:
        super().__init__()
        self.mu = mu
        self.warmup_epochs = warmup_epochs
        self.register_buffer("log_nadir", torch.zeros(n_members, n_tasks))
        self.register_buffer("is_known", torch.zeros(n_members, n_tasks, dtype=torch.bool))
        self.register_buffer("n_epochs", torch.zeros((), dtype=torch.int64))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        compared = present & self.is_known
        scores = self._scores(losses + LOSS_FLOOR).masked_fill(~compared, ABSENT)
        others = (losses * (present & ~self.is_known)).sum(1)
        return self.mu * compared.sum(-1) * scores.logsumexp(1) + others

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        losses = losses + LOSS_FLOOR
        weights = task_shares(self._scores(losses), present & self.is_known) / losses
        return torch.where(self.is_known, weights, present.to(losses.dtype))

    def end_epoch(self, losses: Tensor, present: Tensor) -> None:
        self.n_epochs += 1
        starts = present & ~self.is_known & (self.n_epochs >= self.warmup_epochs)
        self.log_nadir.copy_(torch.where(starts, (losses + LOSS_FLOOR).log(), self.log_nadir))
        self.is_known |= starts

    def _scores(self, losses: Tensor) -> Tensor:
        return (losses.log() - self.log_nadir) / self.mu
