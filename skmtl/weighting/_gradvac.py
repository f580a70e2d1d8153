"""Cosines of gradients pulled up to what they usually are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmtl.layers import Seeds, check_choice, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import cosines_of
from skmtl.weighting._every import EverySteps
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._gramian import WRT, on_host
from skmtl.weighting._orders import draw_orders

#: Above it, a target would ask for many times the other gradient: 7 times at 0.99.
LARGEST_TARGET = 0.99
#: Lack of a cosine that is rounding, and squared length at which nothing is left of a gradient.
TINY = 1e-12


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
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Running means belong to pairs of tasks, and stand still while one of the two has no label.
    They move with the weights, once every `update_every` steps.

    The default of `beta` is that of LibMTL and TorchJD.

    Departure: gradients are taken as a whole, not layer by layer.  A running mean above 0.99
    counts as 0.99: that of two equal gradients is 1, and to come near it again takes a
    multiple of the other gradient without end.

    References
    ----------
    Z. Wang, Y. Tsvetkov, O. Firat, Y. Cao: Gradient Vaccine: Investigating and Improving
    Multi-task Optimization in Massively Multilingual Models, ICLR 2021, arXiv:2010.05874,
    Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import GradVac
    >>> GradVac(beta=0.1)
    GradVac(beta=0.1)
    """

    alias = "gradvac"
    draws = True
    needs_gradients = True

    def __init__(self, beta: float = 0.5, wrt: str = "auto", update_every: int = 8) -> None:
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
        self._generator = torch.Generator().manual_seed(seed)
        self._steps = EverySteps(method.update_every)
        self.register_buffer("weights", torch.ones(n_members, n_tasks))
        # Running means of the cosines: (member, task, task).
        self.register_buffer("targets", torch.zeros(n_members, n_tasks, n_tasks))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses with the last weights."""
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        """Return the weights, which are found anew every so many steps."""
        if self._steps.is_due():
            self._update(present, gradients.gramian)
        return Direction(self.weights * present)

    def _update(self, present: Tensor, gramian: Tensor) -> None:
        products, targets, weights, is_here = on_host(gramian, self.targets, self.weights, present)
        is_labelled = np.broadcast_to(is_here > 0, weights.shape)
        if not is_labelled.any():
            return
        # One draw for all members and all tasks, so that none depends on what another has.
        n_tasks = weights.shape[1]
        orders = draw_orders(n_tasks, n_tasks - 1, self._generator)
        for of_member, target, weight, labelled in zip(
            products, targets, weights, is_labelled, strict=True
        ):
            if not np.isfinite(of_member).all():
                continue  # a member that diverges; the fit says so at the end of the epoch
            # Gradients of zero have no cosines, and no weight could change them.
            active = np.flatnonzero(labelled & (of_member.diagonal() > 0))
            weight[labelled] = 1.0
            if len(active):
                pairs = np.ix_(active, active)
                weight[active], target[pairs] = gradvac_weights(
                    of_member[pairs], target[pairs], self.beta, _among(orders, active)
                )
        self.weights.copy_(torch.from_numpy(weights))
        self.targets.copy_(torch.from_numpy(targets))


def _among(orders: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Leave some tasks in the orders, with their positions among themselves."""
    position = np.full(len(orders), -1)
    position[active] = np.arange(len(active))
    left = position[orders[active]]
    return left[left >= 0].reshape(len(active), -1)


def gradvac_weights(
    gramian: np.ndarray, targets: np.ndarray, beta: float, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the weights of the sum of bent gradients.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.
    targets : ndarray of shape (n_tasks, n_tasks)
        Running means of the cosines; those of task i bend its gradient.
    beta : float
        Weight of the newest cosine.
    orders : ndarray of shape (n_tasks, n_tasks - 1)
        In which order each task meets the others.

    Returns
    -------
    weights : ndarray of shape (n_tasks,)
        Weights.
    targets : ndarray of shape (n_tasks, n_tasks)
        The running means after this.
    """
    cosines, lengths = cosines_of(gramian)
    n = len(cosines)
    positions = orders.T + n * np.arange(n)  # in a flattened matrix
    wanted = targets.take(positions).clip(-1 + TINY, LARGEST_TARGET)
    slopes = wanted / np.sqrt(1 - wanted * wanted)
    # All tasks meet their first other at once, then all their second: none changes what another
    # one meets.  Bent gradients have the products `products[i]` with all directions.
    products, squares = cosines.copy(), np.ones(n)
    met, left, changes = np.empty((3, n - 1, n))
    for k, others in enumerate(orders.T):
        p = products.take(positions[k])
        met[k], left[k] = p, squares
        lacks = p < (wanted[k] - TINY) * np.sqrt(squares)
        rest = np.sqrt(np.maximum(squares - p * p, 0.0))
        changes[k] = change = lacks * (slopes[k] * rest - p)
        products += change[:, None] * cosines.take(others, axis=0)
        squares = np.maximum(squares + change * (2 * p + change), 0.0)
    parts, moved = np.eye(n), targets.copy()
    parts.put(positions, changes)
    # A gradient of which nothing is left has no cosine, and moves no mean.
    found = np.where(left > TINY, met / np.sqrt(left.clip(TINY)), wanted).clip(-1.0, 1.0)
    moved.put(positions, (1 - beta) * targets.take(positions) + beta * found)
    return lengths @ parts / lengths, moved
