"""Gradients of single tasks, and what a weighting makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor


class Direction(NamedTuple):
    """A step on what the tasks share.

    Parameters
    ----------
    weights : Tensor of shape (member, task)
        Weights of the tasks' gradients; 0 for a task that is not present.
    vector : Tensor of shape (member, coordinate), default=None
        The direction itself, in place of the sum of the weighted gradients; the weights are
        then for the record alone.
    """

    weights: Tensor
    vector: Tensor | None = None


class TaskGradients(ABC):
    r"""Gradients ``g_t`` of the tasks' losses by what they share, computed when asked for.

    Rows of tasks without a label in the batch are zero.
    """

    @property
    @abstractmethod
    def gramian(self) -> Tensor:
        """Products of the gradients of any two tasks, shape (member, task, task)."""

    @property
    @abstractmethod
    def jacobian(self) -> Tensor:
        """The gradients, shape (member, task, coordinate)."""
