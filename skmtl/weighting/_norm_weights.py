"""Weights from the lengths of the tasks' gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skmtl.layers import check_choice
from skmtl.weighting._base import WeightingModule
from skmtl.weighting._every import EverySteps
from skmtl.weighting._gradients import Direction, TaskGradients
from skmtl.weighting._gramian import WRT


class NormWeights(WeightingModule):
    """Weights that follow from the lengths of the gradients, without leaving the device.

    Parameters
    ----------
    rule : torch.nn.Module
        Losses (member, task), presence (task,) and lengths of the gradients (member, task) of
        a batch to weights (member, task), any value for a task that is not present.  Its state
        moves on by each call.
    layout : Layout
        The tasks.
    n_members : int
        Number of networks.
    wrt : {"auto", "representation", "parameters"}
        What the gradients are taken with respect to.
    update_every : int
        Steps for which weights are kept; a task without a label at the update keeps its last
        ones.
    """

    needs_gradients = True
    weights: Tensor

    def __init__(
        self, rule: nn.Module, layout: Any, n_members: int, wrt: str, update_every: int
    ) -> None:
        super().__init__()
        self.rule = rule
        self.wrt = check_choice(wrt, "wrt", WRT)
        self._steps = EverySteps(update_every)
        self.register_buffer("weights", torch.ones(n_members, layout.n_tasks))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses with the last weights."""
        return (self.weights * losses * present).sum(1)

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        """Return the weights, which are found anew every so many steps."""
        if self._steps.is_due():
            squares = gradients.gramian.diagonal(dim1=1, dim2=2)
            # By rounding, a square may come out below 0.
            norms = squares.clamp_min(0.0).sqrt()
            found = self.rule(losses, present, norms)
            self.weights = torch.where(present, found, self.weights)
        return Direction(self.weights * present)
