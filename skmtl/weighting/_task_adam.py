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
    label, and the running means forget; here each task has a clock of its own.

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

    means: Tensor
    mass: Tensor
    rates: Tensor
    one: Tensor

    def __init__(self, n_members: int, n_tasks: int, lr: float) -> None:
        super().__init__()
        self.lr = lr
        # Of gradients and of their squares, in one tensor: few calls, which are all the cost.
        self.register_buffer("means", torch.zeros(n_members, 2, n_tasks))
        # What the means would be of ones: 1 - beta**steps, without a count of steps.  Not 0 at
        # the start, where the mean of no gradient is 0, not 0 / 0.
        self.register_buffer("mass", torch.full((n_members, 2, n_tasks), 1e-30))
        # In double precision: the objective that holds the module turns it into its own.
        rates = torch.tensor(BETAS, dtype=torch.float64).neg_().add_(1.0).unsqueeze(1)
        self.register_buffer("rates", rates)
        self.register_buffer("one", torch.ones(()))

    def step(self, gradient: Tensor, present: Tensor) -> Tensor:
        """Return what to subtract from the numbers.

        Parameters
        ----------
        gradient : Tensor of shape (member, task)
            Gradient by the numbers.
        present : Tensor of shape (task,) or (member, task)
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape (member, task)
            0 for the other tasks.
        """
        gradient = gradient.detach()
        moves = present.to(gradient.dtype)
        rates = (self.rates * moves.unsqueeze(-2)).to(moves.dtype)  # (.., 2, task)
        self.means.lerp_(torch.stack((gradient, gradient * gradient), dim=1), rates)
        self.mass.lerp_(self.one, rates)
        mean, square = (self.means / self.mass).unbind(1)
        return mean.div_(square.sqrt_().add_(EPS)).mul_(moves).mul_(self.lr)
