"""Learned scales of the losses."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._shares import LOSS_FLOOR
from skmtl.weighting._task_adam import TaskAdam


class IMTLL(Weighting):
    r"""Learned scale per loss: ``L = sum_t exp(s_t) L_t - s_t``.

    The balance of losses in impartial multi-task learning (IMTL-L): for given losses the
    optimum is ``exp(s_t) = 1 / L_t``, so that all weighted losses are 1.  That is twice the
    weight of :class:`Uncertainty` at its optimum.  For squared errors it is so all the way, since
    the objective is twice the other with ``-s_t`` for ``s_t``; tasks with classes start with a
    weight of 1 in both.

    Parameters
    ----------
    lr : float, default=1e-2
        Learning rate of ``s_t``, above 0; by Adam, in which a task without a label in the batch
        stands still.
    update_every : int, default=1
        Steps between two updates of ``s_t``.

    Notes
    -----
    ``s_t`` moves by about `lr` per step at most, so that it takes some 230 steps for each power
    of ten by which a weight is to change; in a short fit weights stay close to 1.

    Departure: ``s_t`` has a learning rate of its own, and its Adam leaves absent tasks alone.
    ``exp(s_t)`` is at most 1e8: for a loss that stays 0 it would grow without end.

    References
    ----------
    L. Liu, Y. Li, Z. Kuang, J.-H. Xue, Y. Chen, W. Yang, Q. Liao, W. Zhang: Towards Impartial
    Multi-task Learning, ICLR 2021, openreview.net/forum?id=IMPnRXEWpvr.

    Examples
    --------
    >>> from skmtl.weighting import IMTLL
    >>> IMTLL(lr=0.025)
    IMTLL(lr=0.025)
    """

    alias = "imtl_l"

    def __init__(self, lr: float = 1e-2, update_every: int = 1) -> None:
        self.lr = lr
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"lr": 0.1, "update_every": 1}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with ``s_t = 0``.

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
            Learns ``s_t``.
        """
        lr = check_number(self.lr, "lr", above=True)
        return _IMTLL(n_members, layout.n_tasks, lr, EverySteps(self.update_every))


class _IMTLL(WeightingModule):
    log_scale: Tensor
    weights: Tensor

    def __init__(self, n_members: int, n_tasks: int, lr: float, steps: EverySteps) -> None:
        super().__init__()
        self._steps = steps
        self.register_buffer("weights", torch.ones(n_members, n_tasks))
        self.register_buffer("log_scale", torch.zeros(n_members, n_tasks))
        self.adam = TaskAdam(n_members, n_tasks, lr)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        s = self.log_scale
        return ((s.exp() * losses - s) * present).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        if self._steps.is_due():
            self.weights = torch.where(present, self.log_scale.exp(), self.weights)
            step = self.adam.step(self.weights * losses - 1.0, present)
            self.log_scale.sub_(step).clamp_max_(-math.log(LOSS_FLOOR))
        return self.weights * present
