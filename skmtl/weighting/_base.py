"""What a weighting is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skmtl._strategy import Strategy, resolve
from skmtl.layers import Seeds
from skmtl.weighting._gradients import Direction, TaskGradients


class Weighting(Strategy):
    """How the losses of tasks become one step: the ``a_t`` of the objective.

    A weighting reads the losses of the batch alone, or also the gradients of single tasks
    (`needs_gradients`).  It only ever sees the tasks that have a label in the batch.

    Attributes
    ----------
    draws : bool
        Whether its steps depend on chance.
    """

    draws: ClassVar[bool] = False

    @property
    def needs_gradients(self) -> bool:
        """Whether the weighting reads gradients of single tasks by what they share."""
        return False

    @abstractmethod
    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build the module that weights the losses.

        Parameters
        ----------
        layout : Layout
            The tasks: ``names`` in the order of the task axis, and their heads.
        n_members : int
            Number of networks.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        WeightingModule
            Losses of all tasks to one loss.
        """


class WeightingModule(nn.Module, ABC):
    """Losses of all tasks -> one loss per member, with whatever state that needs.

    State of a task belongs in a buffer with the tasks in its last axis; it does not change
    by a batch in which the task has no label.  Parameters of the module are trained by the
    network's optimiser.

    Attributes
    ----------
    is_constant : bool
        Whether the weights never change.
    needs_gradients : bool
        Whether :meth:`direction` reads gradients of single tasks.
    wrt : {"auto", "representation", "parameters"}
        By what the gradients are to be taken.
    needs_losses_after_step : bool
        Whether :meth:`after_step` is to be called for the step under way.
    """

    is_constant: ClassVar[bool] = False
    needs_gradients: bool = False
    wrt: str = "auto"

    @property
    def needs_losses_after_step(self) -> bool:
        """Whether :meth:`after_step` is to be called for the step under way."""
        return False

    @abstractmethod
    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses, without a change of state and without chance.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            ``mean_labelled(w_it * loss_t)``; 0 for a task that is not present.
        present : Tensor of shape (task,) or (member, task)
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape (member,)
            Differentiable.
        """

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the derivative of the combined loss in each loss: the ``a_t`` in force.

        Called once per step of the training: state may move on, and the parameters of the
        weighting, if any, get their gradients on the way.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Losses, without a graph.
        present : Tensor of shape (task,) or (member, task)
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

    def direction(self, losses: Tensor, present: Tensor, gradients: TaskGradients) -> Direction:
        """Return the step on what the tasks share, if the weighting reads gradients.

        Called once per step in place of :meth:`scales`.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Losses, without a graph.
        present : Tensor of shape (task,) or (member, task)
            Which tasks have a label in the batch.
        gradients : TaskGradients
            Gradients of the losses.

        Returns
        -------
        Direction
            Weights of the gradients, or a direction that is no weighted sum of them.
        """
        return Direction(self.scales(losses, present))

    def after_step(self, losses: Tensor, present: Tensor) -> None:
        """Look at the losses of the same batch once the network has moved.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Losses, without a graph.
        present : Tensor of shape (task,) or (member, task)
            Which tasks have a label in the batch.
        """
        return

    def end_epoch(self, losses: Tensor, present: Tensor) -> None:
        """Look at the mean losses of an epoch of training.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Means over the labels of the epoch.
        present : Tensor of shape (task,) or (member, task)
            Which tasks had a label in the epoch.
        """
        return


def resolve_weighting(value: Any, names: Sequence[str]) -> Weighting:
    """Turn what the user wrote for ``loss_weights`` into a weighting.

    Parameters
    ----------
    value : None, mapping, Series, sequence, str, Weighting or object of TorchJD
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
    from skmtl.weighting._equal import Equal
    from skmtl.weighting._fixed import Fixed

    if value is None:
        return Equal()
    if isinstance(value, Mapping):
        return Fixed(value)
    if _is_of_torchjd(value):
        from skmtl.weighting._torchjd import TorchJD

        return TorchJD(value)
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


def _is_of_torchjd(value: Any) -> bool:
    """Tell whether an object's class is TorchJD's or derived from one, without the import."""
    return any(cls.__module__.partition(".")[0] == "torchjd" for cls in type(value).__mro__)
