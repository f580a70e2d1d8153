"""Shares of the tasks that have a label in the batch."""

from __future__ import annotations

from torch import Tensor

#: Added to losses before a logarithm or a quotient, so that a loss of 0 has a finite one.
#: Targets are standardised and losses therefore about 1 before training.
LOSS_FLOOR = 1e-8

#: Score of a task that is not present.  Finite: with -inf, the softmax of a batch without any
#: label would be 0 / 0.
ABSENT = -1e30


def softmax_of_present(scores: Tensor, present: Tensor) -> Tensor:
    """Compute the softmax over the tasks that are present.

    Parameters
    ----------
    scores : Tensor of shape (member, task)
        Finite.
    present : Tensor of shape (task,) or (member, task)
        Which tasks have a label in the batch.

    Returns
    -------
    Tensor of shape (member, task)
        With sum 1, and 0 for the other tasks; uniform if no task is present.
    """
    return scores.masked_fill(~present, ABSENT).softmax(1)


def task_shares(scores: Tensor, present: Tensor) -> Tensor:
    """Compute weights ``n * softmax(scores)`` over the n tasks that are present.

    Parameters
    ----------
    scores : Tensor of shape (member, task)
        Finite.
    present : Tensor of shape (task,) or (member, task)
        Which tasks have a label in the batch.

    Returns
    -------
    Tensor of shape (member, task)
        1 for equal scores; 0 for the other tasks.
    """
    return softmax_of_present(scores, present) * present.sum(-1, keepdim=True)
