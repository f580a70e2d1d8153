"""In which order each task meets the others."""

from __future__ import annotations

import numpy as np
import torch


def draw_orders(n_tasks: int, n_drawn: int, generator: torch.Generator) -> np.ndarray:
    """Draw for each task in which order it meets the others.

    Parameters
    ----------
    n_tasks : int
        How many.
    n_drawn : {n_tasks, n_tasks - 1}
        Whether to draw orders of all tasks and leave out the task itself, or orders of the
        others alone: both are in use, and lead from one seed to different orders.
    generator : torch.Generator
        Draws one permutation after the other.

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks - 1)
        Positions of the other tasks.
    """
    drawn = [torch.randperm(n_drawn, generator=generator) for _ in range(n_tasks)]
    orders = torch.stack(drawn).numpy()
    rows = np.arange(n_tasks)[:, None]
    if n_drawn == n_tasks:
        return orders[orders != rows].reshape(n_tasks, n_tasks - 1)
    return orders + (orders >= rows)
