"""Weights from the products of the tasks' gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmtl.layers import check_choice
from skmtl.weighting._base import WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._gradients import Direction, TaskGradients

#: What gradients may be taken with respect to.
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
        What the gradients are taken with respect to.
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
        self._solve = solve
        self._reads_losses = reads_losses
        self._steps = EverySteps(update_every)
        self.register_buffer("weights", torch.ones(n_members, layout.n_tasks))
        self.register_buffer("is_known", torch.zeros(n_members, layout.n_tasks, dtype=torch.bool))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses with the last weights."""
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        """Return the weights, which are found anew every so many steps."""
        if self._steps.is_due():
            self._update(losses, present, gradients.gramian)
        return Direction(self.weights * present)

    def _update(self, losses: Tensor, present: Tensor, gramian: Tensor) -> None:
        products, values, found, is_here, is_known = on_host(
            gramian, losses, self.weights, present, self.is_known
        )
        is_labelled = np.broadcast_to(is_here > 0, found.shape)
        is_changed = is_labelled | (is_known == 0)
        # By rounding, products may depend on the order of their factors.
        products = (products + products.swapaxes(1, 2)) / 2  # (member, task, task)
        for i, labelled in enumerate(is_labelled):
            # A member that diverges keeps its weights; the fit says so at the end of the epoch.
            if labelled.any() and np.isfinite(products[i]).all():
                new = self._of_member(products[i], values[i], labelled)
                # A task that no update has met yet gets the usual weight.
                new[~labelled] = new[labelled].mean()
                found[i] = np.where(is_changed[i], new, found[i])
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


def on_host(*tensors: Tensor) -> list[np.ndarray]:
    """Copy tensors to the host in one transfer, for each of which a GPU would be waited for.

    Parameters
    ----------
    *tensors : Tensor
        Of any shapes; numbers take the precision of the first one.

    Returns
    -------
    list of ndarray
        In float64, to be changed as one likes.
    """
    flat = torch.cat([tensor.detach().flatten().to(tensors[0].dtype) for tensor in tensors])
    ends = np.cumsum([tensor.numel() for tensor in tensors])[:-1]
    parts = np.split(flat.cpu().numpy().astype(np.float64), ends)
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


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
