"""Weight for the tasks that are far from their optimum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._task_rows import TaskRows

#: The largest excess risk that counts, relative to the first: one batch shuts no task out.
MOST = 100.0


class ExcessMTL(Weighting):
    r"""Weights that grow with a task's distance from its optimum, not with its loss.

    The excess risk of a task is about ``e_t = g_t^T H_t^-1 g_t`` with ``H_t = diag(sum of
    g_t^2 over batches)^(1/2)``, and ``w_t ~ w_t exp(eta e_t / e_t(0))``.  Use it where the
    labels of some tasks are noisy: their losses stay high, their excess risks do not.

    Parameters
    ----------
    robust_step_size : float, default=1e-2
        ``eta``, above 0.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Gradients are taken by all parameters of trunk and sharing, since sums over batches make no
    sense by the representation of other rows.  They take the memory of one more copy of these
    parameters per task.

    Departure: weights sum to the number of tasks, not to 1, so that learning rate, weight decay
    and penalties mean what they mean with equal weights; those of the tasks in the batch keep
    their sum.  ``e_t(0)`` is that of the first batch with a label of the task, and a batch
    counts at most 100 times as much.

    References
    ----------
    Y. He, S. Zhou, G. Zhang, H. Yun, Y. Xu, B. Zeng, T. Chilimbi, H. Zhao: Robust Multi-Task
    Learning with Excess Risks, ICML 2024, arXiv:2402.02009.

    Examples
    --------
    >>> from skmtl.weighting import ExcessMTL
    >>> ExcessMTL(robust_step_size=0.1)
    ExcessMTL(robust_step_size=0.1)
    """

    alias = "excess_mtl"
    needs_gradients = True

    def __init__(self, robust_step_size: float = 1e-2, update_every: int = 8) -> None:
        self.robust_step_size = robust_step_size
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"robust_step_size": 1.0, "update_every": 2}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with weights of 1.

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
            Sums squares of the tasks' gradients by parameters.
        """
        step_size = check_number(self.robust_step_size, "robust_step_size", above=True)
        steps = EverySteps(self.update_every)
        return _ExcessMTL(step_size, steps, n_members, layout.n_tasks)


class _ExcessMTL(WeightingModule):
    needs_gradients = True
    wrt = "parameters"
    log_weights: Tensor
    first: Tensor

    def __init__(self, step_size: float, steps: EverySteps, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.step_size = step_size
        self._steps = steps
        self.squares = TaskRows(n_members, n_tasks)
        # Logarithms: a weight that has fallen below the smallest number can still rise again.
        self.register_buffer("log_weights", torch.zeros(n_members, n_tasks))
        self.register_buffer("first", torch.zeros(n_members, n_tasks))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (self.log_weights.exp() * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        if self._steps.is_due():
            self._update(gradients.jacobian, present)
        return Direction(self.log_weights.exp() * present)

    def _update(self, rows: Tensor, present: Tensor) -> None:
        squares = rows.square()
        total = self.squares.like(rows).add_(squares)
        tiny = torch.finfo(total.dtype).tiny  # against 0 / 0
        excess = squares.mul_(total.clamp_min(tiny).rsqrt_()).sum(2)  # (member, task)
        # A first risk of 0 says nothing of a task: the next one counts.
        self.first = torch.where(self.first > 0, self.first, excess)
        relative = (excess / self.first.clamp_min(tiny)).clamp_max(MOST)
        old = self.log_weights
        new = old + self.step_size * relative
        new = new - (_log_sum(new, present) - _log_sum(old, present))
        self.log_weights = torch.where(present, new, old)


def _log_sum(logarithms: Tensor, present: Tensor) -> Tensor:
    return logarithms.masked_fill(~present, -torch.inf).logsumexp(1, keepdim=True)
