"""Weights under which all losses fall at the same rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._shares import softmax_of_present, task_shares
from skmtl.weighting._task_adam import TaskAdam


class FAMO(Weighting):
    r"""Weights under which all losses fall at the same rate, without gradients of single tasks.

    ``L = n c sum_t z_t log(L_t)`` with ``z = softmax(l)`` over the ``n`` tasks in the batch and
    ``c = 1 / sum_t (z_t / L_t)``, held fixed.  After the step, the losses of the same batch
    tell how fast each one fell, ``d_t = log(L_t before) - log(L_t after)``, and the logits
    ``l`` move against ``sum_t z_t d_t``: towards the tasks that fell the least.  Use it where
    some tasks are learned slowly and gradients of single tasks are too dear; it costs one
    more forward pass per step in which the logits move.

    Parameters
    ----------
    lr : float, default=0.025
        Learning rate of the logits, above 0; by Adam, in which a task without a label in the
        batch stands still.
    gamma : float, default=1e-3
        Decay of the logits towards equal ones, at least 0: the larger, the sooner old steps
        are forgotten.
    eps : float, default=1e-2
        Added to the losses, above 0: bounds what a task can weigh whose loss is close to 0.
    update_every : int, default=4
        Steps between two moves of the logits; 1: the paper's.

    Notes
    -----
    ``gamma`` is that of the authors' script for QM9, whose eleven regressions are closest to a
    table with several targets, and of LibMTL and TorchJD; the authors' other code has 1e-2
    and 1e-5.  The lower bounds of the losses are 0.

    With dropout, the losses before and after a step are those of two draws of it.

    Departure: weights sum to the number of tasks in the batch, not to 1, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.  ``eps`` is 1e-2,
    not 1e-8, since the loss of a batch with few labels of a task is close to 0 by chance.  With
    80% of the labels missing and batches of 16 rows, mean test R2 of six regressions was 0.77
    with 1e-8 and 0.79 with 1e-2 (equal weights: 0.88), with 92% 0.56 and 0.58 (0.66); with all
    labels it was 0.93 either way (as in tests/weighting/test_missing.py, over six tables).  The
    gradient is not clipped; in the authors' code it is.  The logits move in every fourth step,
    not in each: on the same six tables, scores with all labels, without 80% and without 92%
    were 0.925, 0.79 and 0.57 with 4 and 0.926, 0.79 and 0.58 with 1, and after 40 epochs
    0.97, 0.92 and 0.75 with either, with standard errors of 0.003, 0.02 and 0.03.

    References
    ----------
    B. Liu, Y. Feng, P. Stone, Q. Liu: FAMO: Fast Adaptive Multitask Optimization, NeurIPS
    2023, arXiv:2306.03792, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import FAMO
    >>> FAMO(gamma=0.01)
    FAMO(gamma=0.01)
    """

    alias = "famo"

    def __init__(
        self, lr: float = 0.025, gamma: float = 1e-3, eps: float = 1e-2, update_every: int = 4
    ) -> None:
        self.lr = lr
        self.gamma = gamma
        self.eps = eps
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"lr": 0.1, "gamma": 0.0, "eps": 1e-8, "update_every": 1}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with equal logits.

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
            Asks for the losses after a step.
        """
        return _FAMO(self, n_members, layout.n_tasks)


class _FAMO(WeightingModule):
    logits: Tensor

    def __init__(self, method: FAMO, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.gamma = check_number(method.gamma, "gamma")
        self.eps = check_number(method.eps, "eps", above=True)
        self._steps = EverySteps(method.update_every)
        self.register_buffer("logits", torch.zeros(n_members, n_tasks))
        self.adam = TaskAdam(n_members, n_tasks, check_number(method.lr, "lr", above=True))
        # log(L_t) of the batch whose step is under way, if the logits are to move by it.
        self._before: Tensor | None = None

    @property
    def needs_losses_after_step(self) -> bool:
        """Whether the logits move by the step under way."""
        return self._before is not None

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        # n c, a mean of the losses: the derivative is that of the logarithms, and the record
        # of the training is easier to read.
        logs = self._log(losses.detach())
        return (task_shares(self.logits - logs, present) * losses).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        logs = self._log(losses)
        # A line search asks more than once before it looks back.
        if self._steps.is_due() or self.needs_losses_after_step:
            self._before = logs
        # c z_t / L_t is a softmax too.
        return task_shares(self.logits - logs, present)

    def after_step(self, losses: Tensor, present: Tensor) -> None:
        if self._before is None:
            return
        fall = self._before - self._log(losses)
        z = softmax_of_present(self.logits, present)
        slope = z * (fall - (z * fall).sum(1, keepdim=True))
        self.logits.sub_(self.adam.step(slope + self.gamma * self.logits, present))
        self._before = None

    def _log(self, losses: Tensor) -> Tensor:
        return (losses + self.eps).log()
