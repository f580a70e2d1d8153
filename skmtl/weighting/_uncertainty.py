"""Weights from the noise of tasks, learned."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_flag, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._shares import LOSS_FLOOR
from skmtl.weighting._task_adam import TaskAdam


class Uncertainty(Weighting):
    r"""Learned noise per task: ``L = sum_t f_t exp(-s_t) L_t + s_t / 2``.

    ``s_t = log(sigma_t^2)`` is the noise of a task, learned beside the network; ``f_t`` is
    1/2 for squared errors and 1 for cross-entropies, as the likelihoods have it.  For given
    losses the optimum is ``exp(-s_t) = 1 / (2 f_t L_t)``, where every task weighs
    ``f_t exp(-s_t) = 1 / (2 L_t)``, whatever its factor.  Use it where losses are on different
    scales and nobody wants to set weights by hand.

    Parameters
    ----------
    positive : bool, default=False
        ``log(1 + sigma_t^2)`` in place of ``s_t / 2 = log(sigma_t)``, so that the total never
        falls below 0.  The optimum is then ``f_t exp(-s_t) = 2 f_t / (f_t L_t + sqrt(f_t^2 L_t^2
        + 4 f_t L_t))``: the inverse of a large loss, but only ``sqrt(f_t / L_t)`` of a small one.
    lr : float, default=1e-2
        Learning rate of ``s_t``, above 0; by Adam, in which a task without a label in the batch
        stands still.
    update_every : int, default=1
        Steps between two updates of ``s_t``.

    Notes
    -----
    ``s_t`` moves by about `lr` per step at most, so that it takes some 230 steps for each power
    of ten by which a weight is to change; in a short fit weights stay close to ``f_t``.

    Departure: ``s_t`` has a learning rate of its own, and its Adam leaves absent tasks alone.
    ``exp(-s_t)`` is at most 1e8: for a loss that stays 0 it would grow without end.

    References
    ----------
    A. Kendall, Y. Gal, R. Cipolla: Multi-Task Learning Using Uncertainty to Weigh Losses for
    Scene Geometry and Semantics, CVPR 2018, arXiv:1705.07115, equations 7 and 10.

    L. Liebel, M. Koerner: Auxiliary Tasks in Multi-task Learning, 2018, arXiv:1805.06334 (the
    positive form).

    Examples
    --------
    >>> from skmtl.weighting import Uncertainty
    >>> Uncertainty(positive=True)
    Uncertainty(positive=True)
    """

    alias = "uncertainty"

    def __init__(self, positive: bool = False, lr: float = 1e-2, update_every: int = 1) -> None:
        self.positive = positive
        self.lr = lr
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"positive": True, "update_every": 1}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with ``s_t = 0``.

        Parameters
        ----------
        layout : Layout
            The tasks, and ``likelihood_factor`` of their heads.
        n_members : int
            Number of networks.
        seeds : Seeds
            Ignored.

        Returns
        -------
        WeightingModule
            Learns ``s_t``.
        """
        factors = [
            group.head.likelihood_factor for group in layout.groups for _ in range(group.n_tasks)
        ]
        return _Uncertainty(self, torch.tensor(factors), n_members)


class _Uncertainty(WeightingModule):
    factors: Tensor
    log_variance: Tensor
    weights: Tensor

    def __init__(self, method: Uncertainty, factors: Tensor, n_members: int) -> None:
        super().__init__()
        self.positive = check_flag(method.positive, "positive")
        self._steps = EverySteps(method.update_every)
        self.register_buffer("factors", factors)
        self.register_buffer("log_variance", torch.zeros(n_members, len(factors)))
        self.register_buffer("weights", factors.repeat(n_members, 1))
        self.adam = TaskAdam(n_members, len(factors), check_number(method.lr, "lr", above=True))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        s = self.log_variance
        noise = torch.nn.functional.softplus(s) if self.positive else s / 2  # log(1 + e^s)
        return ((self.factors * (-s).exp() * losses + noise) * present).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        if self._steps.is_due():
            s = self.log_variance
            self.weights = torch.where(present, self.factors * (-s).exp(), self.weights)
            slope = s.sigmoid() if self.positive else 0.5
            step = self.adam.step(slope - self.weights * losses, present)
            self.log_variance.sub_(step).clamp_min_(math.log(LOSS_FLOOR))
        return self.weights * present
