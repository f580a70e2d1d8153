"""Weights that let all tasks learn at one rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._norm_weights import NormWeights
from skmtl.weighting._task_adam import TaskAdam

#: What weights cannot fall below.
LEAST = 1e-3


class GradNorm(Weighting):
    r"""Weights learned so that gradients are long where a task lags behind.

    ``minimize sum_t | w_t ||g_t|| - m r_t^alpha |`` over the weights, where ``m`` is the mean of
    ``w_t ||g_t||``, ``r_t = (L_t / L_t(0)) / mean_s (L_s / L_s(0))`` says how far a task has
    come since its first loss ``L_t(0)``, and the target ``m r_t^alpha`` is held constant.  Use
    it where tasks learn at different rates.

    Parameters
    ----------
    alpha : float, default=1.5
        How strongly tasks are pulled to one rate, at least 0; 0: gradients of one length.
    lr : float, default=0.025
        Learning rate of the weights, above 0; by Adam, in which a task without a label in the
        batch stands still.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: the paper takes gradients by the last shared layer's parameters.  Means are over
    the tasks of the batch, whose weights keep their sum: over all tasks it is their number.
    Weights stay above 0.001, where the paper's may turn negative.  ``L_t(0)`` is the loss in the
    first batch that has a label of the task.

    References
    ----------
    Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich: GradNorm: Gradient Normalization for
    Adaptive Loss Balancing in Deep Multitask Networks, ICML 2018, arXiv:1711.02257, equations 1
    and 2, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import GradNorm
    >>> GradNorm(alpha=0.5)
    GradNorm(alpha=0.5)
    """

    alias = "gradnorm"
    needs_gradients = True

    def __init__(
        self, alpha: float = 1.5, lr: float = 0.025, wrt: str = "auto", update_every: int = 8
    ) -> None:
        self.alpha = alpha
        self.lr = lr
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"alpha": 0.5, "lr": 0.3, "update_every": 2}]

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
            Learns weights.
        """
        alpha = check_number(self.alpha, "alpha")
        lr = check_number(self.lr, "lr", above=True)
        rule = _GradNormRule(alpha, lr, n_members, layout.n_tasks)
        return NormWeights(rule, layout, n_members, self.wrt, self.update_every)


class _GradNormRule(nn.Module):
    learned: Tensor
    first_losses: Tensor

    def __init__(self, alpha: float, lr: float, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.alpha = alpha
        self.register_buffer("learned", torch.ones(n_members, n_tasks))
        self.register_buffer("first_losses", torch.zeros(n_members, n_tasks))
        self.adam = TaskAdam(n_members, n_tasks, lr)

    def forward(self, losses: Tensor, present: Tensor, norms: Tensor) -> Tensor:
        tiny = torch.finfo(losses.dtype).tiny  # against 0 / 0
        old = self.learned
        # A first loss of 0 says nothing of a task: the next one counts.
        self.first_losses = torch.where(self.first_losses > 0, self.first_losses, losses)
        share = present.to(losses.dtype) / present.sum(-1, keepdim=True).clamp_min(1)
        rates = losses / self.first_losses.clamp_min(tiny)
        rates = rates / (rates * share).sum(1, keepdim=True).clamp_min(tiny)
        lengths = old * norms
        targets = (lengths * share).sum(1, keepdim=True) * rates**self.alpha
        gradient = torch.sign(lengths - targets) * norms
        new = (old - self.adam.step(gradient, present)).clamp_min(LEAST)
        new = new * ((old * present).sum(1) / (new * present).sum(1).clamp_min(tiny)).unsqueeze(1)
        self.learned = torch.where(present, new, old)
        return old
