"""Adam for numbers that belong to tasks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Decay of the running means of gradients and squared gradients, and the term against 0 / 0.
BETAS = (0.9, 0.999)
EPS = 1e-8


class TaskAdam(nn.Module):
    """Adam for one number per member and task, in which tasks without a label stand still.

    In Adam as usual, the momentum moves a number on through steps in which its task has no
    label, and the running means forget; here each task has a count of steps of its own.

    Parameters
    ----------
    n_members, n_tasks : int
        How many numbers.
    lr : float
        Learning rate.

    References
    ----------
    D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization, ICLR 2015,
    arXiv:1412.6980, Algorithm 1.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, n_members: int, n_tasks: int, lr: float) -> None:
        super().__init__()
        self.lr = lr
        for name in ("mean", "square"):
            self.register_buffer(name, torch.zeros(n_members, n_tasks))
        self.register_buffer("count", torch.zeros(n_tasks))

    @torch.no_grad()
    def step(self, gradient: Tensor, present: Tensor) -> Tensor:
        """Return what to subtract from the numbers.

        Parameters
        ----------
        gradient : Tensor of shape (member, task)
            Gradient by the numbers.
        present : Tensor of shape (task,)
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape (member, task)
            0 for the other tasks.
        """
        moves = present.to(gradient.dtype)
        self.count += moves
        self.mean.lerp_(gradient, (1 - BETAS[0]) * moves)
        self.square.lerp_(gradient.square(), (1 - BETAS[1]) * moves)
        count = self.count.clamp_min(1.0)
        mean = self.mean / (1 - BETAS[0] ** count)
        square = self.square / (1 - BETAS[1] ** count)
        return self.lr * moves * mean / (square.sqrt() + EPS)
