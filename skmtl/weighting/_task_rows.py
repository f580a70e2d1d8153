"""What is kept of the tasks' gradients from batch to batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class TaskRows(nn.Module):
    """A row of numbers per member and task, as wide as the first gradients turn out to be.

    Until then the buffer is there but empty, so that the keys of the state never change.

    Parameters
    ----------
    n_members, n_tasks : int
        How many rows.
    """

    values: Tensor

    def __init__(self, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(n_members, n_tasks, 0))

    def like(self, gradients: Tensor) -> Tensor:
        """Return the rows, which are zero at first, to be changed in place.

        Parameters
        ----------
        gradients : Tensor of shape (member, task, coordinate)
            Gradients of a batch.

        Returns
        -------
        Tensor of shape (member, task, coordinate)
            The buffer.

        Raises
        ------
        ValueError
            If the gradients have another width than before.
        """
        kept, found = self.values.shape[2], gradients.shape[2]
        if kept == 0:
            self.values = torch.zeros_like(gradients)
        elif kept != found:
            raise ValueError(
                "Parameter `loss_weights`: this method keeps averages of the tasks' gradients by "
                f"{kept} numbers that the tasks share, and now they share {found}. Freeze or "
                "free layers before the first fit, or use a method without averages, such as "
                "'mgda'."
            )
        return self.values

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        saved = state_dict.get(f"{prefix}values")
        if isinstance(saved, Tensor):
            self.values = self.values.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


class TaskAverages(nn.Module):
    """Running averages of gradients, in which tasks without a label stand still.

    An average starts at 0 and is divided by what an average of ones would be, as in Adam, so
    that it has the length of a gradient from the first batch on.

    Parameters
    ----------
    n_members, n_tasks : int
        How many averages.
    """

    mass: Tensor
    count: Tensor

    def __init__(self, n_members: int, n_tasks: int) -> None:
        super().__init__()
        self.rows = TaskRows(n_members, n_tasks)
        self.register_buffer("mass", torch.zeros(n_members, n_tasks))  # the average of ones
        self.register_buffer("count", torch.zeros(n_members, n_tasks))

    def step(self, gradients: Tensor, present: Tensor, rate: Callable[[Tensor], Tensor]) -> Tensor:
        """Move the averages towards the gradients of a batch.

        Parameters
        ----------
        gradients : Tensor of shape (member, task, coordinate)
            Gradients.
        present : Tensor of shape (task,) or (member, task)
            Which tasks have a label in the batch.
        rate : callable
            Share of the way, in [0, 1], at the k-th batch with a label of the task.

        Returns
        -------
        Tensor of shape (member, task, coordinate)
            The averages; zero for the other tasks.
        """
        self.count += present
        moves = rate(self.count.clamp_min(1.0)) * present
        self.mass.lerp_(torch.ones_like(self.mass), moves)
        values = self.rows.like(gradients).lerp_(gradients, moves.unsqueeze(-1))
        tiny = torch.finfo(values.dtype).tiny  # a rate of 0 leaves 0 / 0
        return values * (present / self.mass.clamp_min(tiny)).unsqueeze(-1)
