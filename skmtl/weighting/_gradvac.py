"""Cosines of gradients pulled up to what they usually are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmtl.layers import Seeds, check_choice, check_number, check_whole
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._gramian import WRT, random_orders


class GradVac(Weighting):
    r"""Gradient vaccine: gradients are bent until they are as similar as usual.

    Task after task in random order: where the cosine ``phi`` of ``g_i`` and ``g_j`` is below its
    running mean ``phi_T``, so much of ``g_j`` is added to ``g_i`` that they have the cosine
    ``phi_T``; the results are added up.  PCGrad, which only mends negative cosines, is the case
    ``phi_T = 0``.

    Parameters
    ----------
    beta : float, default=0.5
        Weight of the newest cosine in the running mean, in [0, 1].
    wrt : {"auto", "representation", "parameters"}, default="auto"
        By what gradients are taken: the representation that all heads read, or all parameters
        of trunk and sharing.  ``"auto"``: the former where there is one.
    update_every : int, default=4
        Steps for which weights are kept.

    Notes
    -----
    Departure: gradients are taken as a whole, not layer by layer.  Running means belong to
    pairs of tasks, and stand still while one of the two has no label.

    References
    ----------
    Z. Wang et al.: Gradient Vaccine: Investigating and Improving Multi-task Optimization in
    Massively Multilingual Models, ICLR 2021, arXiv:2010.05874, algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import GradVac
    >>> GradVac(beta=0.1)
    GradVac(beta=0.1)
    """

    alias = "gradvac"
    needs_gradients = True

    def __init__(self, beta: float = 0.5, wrt: str = "auto", update_every: int = 4) -> None:
        self.beta = beta
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"beta": 0.01, "update_every": 1}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with running means of 0.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Draw the orders.

        Returns
        -------
        WeightingModule
            Reads the Gramian of the tasks' gradients.
        """
        return _GradVac(self, n_members, layout.n_tasks, seeds.draw())


class _GradVac(WeightingModule):
    needs_gradients = True
    weights: Tensor
    targets: Tensor

    def __init__(self, method: GradVac, n_members: int, n_tasks: int, seed: int) -> None:
        super().__init__()
        self.beta = check_number(method.beta, "beta", most=1.0)
        self.wrt = check_choice(method.wrt, "wrt", WRT)
        self.update_every = check_whole(method.update_every, "update_every", 1)
        self._generator = torch.Generator().manual_seed(seed)
        self._step = 0
        self.register_buffer("weights", torch.ones(n_members, n_tasks))
        # Running means of the cosines: (member, task, task).
        self.register_buffer("targets", torch.zeros(n_members, n_tasks, n_tasks))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses with the last weights."""
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        """Return the weights, which are found anew every so many steps."""
        if self._step % self.update_every == 0:
            self._update(present.cpu().numpy(), gradients.gramian)
        self._step += 1
        return Direction(self.weights * present)

    def _update(self, labelled: np.ndarray, gramian: Tensor) -> None:
        products = gramian.detach().cpu().numpy().astype(np.float64)
        active = np.flatnonzero(labelled)
        if not len(active) or not np.isfinite(products).all():
            return  # a fit that diverges says so at the end of the epoch
        targets = self.targets.cpu().numpy().astype(np.float64)
        weights = self.weights.cpu().numpy().astype(np.float64)
        # One draw for all members, so that none depends on another.
        orders = random_orders(len(active), self._generator)
        pairs = np.ix_(active, active)
        for of_member, target, weight in zip(products, targets, weights, strict=True):
            weight[active], target[pairs] = gradvac_weights(
                of_member[pairs], target[pairs], self.beta, orders
            )
        self.weights.copy_(torch.from_numpy(weights))
        self.targets.copy_(torch.from_numpy(targets))


def gradvac_weights(
    gramian: np.ndarray, targets: np.ndarray, beta: float, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the weights of the sum of bent gradients.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    targets : ndarray of shape (n_tasks, n_tasks)
        Running means of the cosines; those of task i bend its gradient.
    beta : float
        Weight of the newest cosine.
    orders : ndarray of shape (n_tasks, n_tasks)
        In which order each task meets the others.

    Returns
    -------
    weights : ndarray of shape (n_tasks,)
        Weights.
    targets : ndarray of shape (n_tasks, n_tasks)
        The running means after this.
    """
    n = len(gramian)
    rows, norms, targets = np.arange(n), np.sqrt(gramian.diagonal()), targets.copy()
    parts = np.eye(n)  # (task, task): the bent gradients, in terms of all
    for others in orders.T:
        products = (parts * gramian[others]).sum(axis=1)
        own = np.sqrt(((parts @ gramian) * parts).sum(axis=1).clip(0.0))
        lengths = own * norms[others]
        meets = (others != rows) & (lengths > 0)  # a gradient of 0 has no cosine
        cosine = np.where(meets, products / np.where(meets, lengths, 1.0), 0.0).clip(-1, 1)
        target = targets[rows, others]
        bends = meets & (cosine < target)
        sine, wanted = np.sqrt(1 - cosine**2), np.sqrt((1 - target**2).clip(1e-12))
        share = own * (target * sine - cosine * wanted)
        share = share / np.where(bends, norms[others] * wanted, 1.0)
        parts[rows, others] += np.where(bends, share, 0.0)
        moved = (1 - beta) * target + beta * cosine
        targets[rows, others] = np.where(meets, moved, target)
    return parts.sum(axis=0), targets
