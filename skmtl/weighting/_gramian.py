"""Weights from the products of the tasks' gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmtl.layers import check_choice, check_whole
from skmtl.weighting._base import WeightingModule
from skmtl.weighting._gradients import Direction, TaskGradients

#: By what gradients may be taken.
WRT = ("auto", "representation", "parameters")

#: Weights of some tasks, shape (n,), from the Gramian of their gradients, and their losses.
Solver = Callable[..., np.ndarray]


class GramianWeights(WeightingModule):
    """Weights that a small solve finds from the Gramian of the present tasks.

    The Gramian leaves the device for the solve alone, which is in float64.  Tasks with a
    gradient of zero, which no weight could change, are left out of it.

    Parameters
    ----------
    solve : callable
        Gramian of the present tasks to their weights, for one member.  Weights are on the
        scale of the sum: for orthogonal gradients of length 1 they are 1.
    layout : Layout
        The tasks.
    n_members : int
        Number of networks.
    wrt : {"auto", "representation", "parameters"}
        By what the gradients are taken.
    update_every : int
        Steps for which weights are kept; a task without a label at the update keeps its last
        ones.
    reads_losses : bool, default=False
        Whether `solve` also takes the losses of the present tasks.
    """

    needs_gradients = True
    weights: Tensor
    is_known: Tensor

    def __init__(
        self,
        solve: Solver,
        layout: Any,
        n_members: int,
        wrt: str,
        update_every: int,
        reads_losses: bool = False,
    ) -> None:
        super().__init__()
        self.wrt = check_choice(wrt, "wrt", WRT)
        self.update_every = check_whole(update_every, "update_every", 1)
        self._solve = solve
        self._reads_losses = reads_losses
        self._step = 0
        self.register_buffer("weights", torch.ones(n_members, layout.n_tasks))
        self.register_buffer("is_known", torch.zeros(layout.n_tasks, dtype=torch.bool))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses with the last weights."""
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        """Return the weights, which are found anew every so many steps."""
        if self._step % self.update_every == 0:
            self._update(losses, present, gradients.gramian)
        self._step += 1
        return Direction(self.weights * present)

    def _update(self, losses: Tensor, present: Tensor, gramian: Tensor) -> None:
        labelled = present.cpu().numpy()
        products = gramian.detach().cpu().numpy().astype(np.float64)  # (member, task, task)
        values = losses.cpu().numpy().astype(np.float64)
        found = self.weights.cpu().numpy().astype(np.float64)
        changed = labelled | ~self.is_known.cpu().numpy()
        for of_member, losses_of_member, weights in zip(products, values, found, strict=True):
            # A member that diverges keeps its weights; the fit says so at the end of the epoch.
            if labelled.any() and np.isfinite(of_member).all():
                new = self._of_member(of_member, losses_of_member, labelled)
                # A task that no update has met yet gets the usual weight.
                new[~labelled] = new[labelled].mean()
                weights[changed] = new[changed]
        self.weights.copy_(torch.from_numpy(found))
        self.is_known |= present

    def _of_member(
        self, gramian: np.ndarray, losses: np.ndarray, labelled: np.ndarray
    ) -> np.ndarray:
        """Solve for the tasks that have a label and a gradient; the others weigh 1."""
        active = labelled & (gramian.diagonal() > 0)
        if active.all():
            return self._solved(gramian, losses)
        found = np.ones(len(losses))
        if active.any():
            found[active] = self._solved(gramian[active][:, active], losses[active])
        return found

    def _solved(self, gramian: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return self._solve(gramian, losses) if self._reads_losses else self._solve(gramian)


def factor_of(gramian: np.ndarray) -> np.ndarray:
    """Return gradients that have these products.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Positive semi-definite, up to rounding.

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks)
        ``F`` with ``F.T @ F = gramian``.
    """
    try:
        return np.linalg.cholesky(gramian).T
    except np.linalg.LinAlgError:  # fewer directions than tasks
        values, vectors = np.linalg.eigh(gramian)
    return np.sqrt(values.clip(0.0))[:, None] * vectors.T
