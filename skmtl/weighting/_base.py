"""What a weighting is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skmtl._strategy import Strategy, resolve


class Weighting(Strategy):
    """How the losses of tasks become one: the ``a_t`` of the objective.

    Attributes
    ----------
    needs_gradients : bool
        Whether the weighting reads gradients of single tasks.
    """

    needs_gradients: ClassVar[bool] = False

    @abstractmethod
    def build(self, names: Sequence[str], n_members: int) -> WeightingModule:
        """Build the module that weights the losses.

        Parameters
        ----------
        names : sequence of str
            Tasks in the order of the task axis.
        n_members : int
            Number of networks.

        Returns
        -------
        WeightingModule
            Losses of all tasks to one loss.
        """


class WeightingModule(nn.Module, ABC):
    """Losses of all tasks -> one loss per member, with whatever state that needs."""

    @abstractmethod
    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            ``mean_labelled(w_it * loss_t)``; 0 for a task that is not present.
        present : Tensor of shape (task,)
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape (member,)
            Differentiable.
        """

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the derivative of the combined loss by each loss: the ``a_t`` in force.

        The parameters of the weighting, if any, get their gradients on the way.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Losses, without a graph.
        present : Tensor of shape (task,)
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape (member, task)
            Weights.
        """
        with torch.enable_grad():
            leaf = losses.detach().requires_grad_()
            self(leaf, present).sum().backward()
        return losses.new_zeros(losses.shape) if leaf.grad is None else leaf.grad


def resolve_weighting(value: Any, names: Sequence[str]) -> Weighting:
    """Turn what the user wrote for ``loss_weights`` into a weighting.

    Parameters
    ----------
    value : None, mapping, Series, sequence, str or Weighting
        None: all weights 1.  A mapping or a pandas Series from task names, or a sequence in
        the order of the tasks: fixed weights.
    names : sequence of str
        The tasks in the user's order.

    Returns
    -------
    Weighting
        The object that stands for the choice.

    Raises
    ------
    ValueError
        If a sequence does not have one weight for each task.
    """
    from skmtl.weighting._fixed import Fixed

    if value is None or isinstance(value, Mapping):
        return Fixed(value)
    if hasattr(value, "items"):  # a pandas Series
        return Fixed(dict(value.items()))
    if isinstance(value, list | tuple) or hasattr(value, "__array__"):
        if len(value) != len(names):
            raise ValueError(
                f"Parameter `loss_weights` must have one weight for each of the {len(names)} "
                f"tasks {list(names)}. Found {len(value)}."
            )
        return Fixed(dict(zip(names, value, strict=True)))
    return resolve(value, Weighting, "loss_weights")
