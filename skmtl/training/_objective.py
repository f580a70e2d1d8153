"""The objective: ``sum_t a_t * mean_labelled(w_it * loss_t) + Omega(theta)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skmtl.heads import Layout
from skmtl.layers import mean_submodels, spread_members
from skmtl.penalties import PenaltyModule
from skmtl.training._batches import BatchTargets
from skmtl.training._network import Network
from skmtl.training._omega import Omega
from skmtl.weighting import TaskGradients, WeightingModule


class _TaskLosses(torch.autograd.Function):
    """Losses of all tasks as one node of the graph, with its gradient computed beside them."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, objective: Objective, targets: BatchTargets) -> Tensor:
        losses, gradients = objective.losses_and_gradients(z, targets)
        ctx.objective = objective
        ctx.save_for_backward(gradients)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        # A copy: weightings may walk the graph once per task.
        return ctx.objective.scale_rows(ctx.saved_tensors[0].clone(), grad), None, None


def _of_submodels(part: Tensor, n: int) -> Tensor:
    """Give the submodels of a member, if members have rows of their own, what it has."""
    return spread_members(part, n) if part.dim() == 4 else part


class BatchWeights(NamedTuple):
    """The weights of a batch.

    Parameters
    ----------
    shared : Tensor of shape (member, task)
        The ``a_t``: weights of the tasks' gradients by what they share.
    own : Tensor of shape (member, task) or None
        Weights for what a task has of its own, its head.  The same, but where a weighting
        reads gradients: then heads follow their own losses alone, None: with a weight of 1.
    vector : Tensor of shape (member, coordinate) or None
        The direction, where it is no sum of weighted gradients.
    """

    shared: Tensor
    own: Tensor | None
    vector: Tensor | None


class Objective(nn.Module):
    """Outputs and targets -> the number that training makes small.

    Parameters
    ----------
    layout : Layout
        Tasks and their output rows.
    weighting : WeightingModule
        Losses of all tasks to one.
    penalties : sequence of PenaltyModule, default=()
        The terms of Omega.
    """

    task_of_row: Tensor

    def __init__(
        self, layout: Layout, weighting: WeightingModule, penalties: Sequence[PenaltyModule] = ()
    ) -> None:
        super().__init__()
        self.layout = layout
        self.weighting = weighting
        self.penalties = nn.ModuleList(penalties)
        self.register_buffer("task_of_row", torch.as_tensor(layout.task_of_row))

    @property
    def _on_losses(self) -> list[Any]:
        return [penalty for penalty in self.penalties if penalty.reads_losses]

    def losses_and_gradients(self, z: Tensor, targets: BatchTargets) -> tuple[Tensor, Tensor]:
        """Compute ``mean_labelled(w_it * loss_t)`` of each task and its derivative in z.

        Parameters
        ----------
        z : Tensor of shape (member, output row, sample)
            Outputs.
        targets : BatchTargets
            Targets and weights of the batch.

        Returns
        -------
        losses : Tensor of shape (member, task)
            Losses; 0 for a task without a label in the batch.
        gradients : Tensor of shape (member, output row, sample)
            Derivative of the loss of the row's task.
        """
        z = z.contiguous()  # samples last, see Head
        losses, gradients = [], []
        for group, y, w in zip(self.layout.groups, targets.y, targets.w, strict=True):
            rows = group.outputs(z)
            loss, gradient = group.head.loss_and_gradient(
                rows, _of_submodels(y, len(z)), _of_submodels(w, len(z))
            )
            losses.append(loss)
            gradients.append(gradient.flatten(1, 2))
        if len(losses) == 1:
            return losses[0], gradients[0]
        return torch.cat(losses, dim=1), torch.cat(gradients, dim=1)

    def mean_losses_and_gradients(
        self, z: Tensor, targets: BatchTargets, network: Network
    ) -> tuple[Tensor, Tensor]:
        """Compute the losses that training makes small: means over a member's submodels.

        Parameters
        ----------
        z : Tensor of shape (member and submodel, output row, sample)
            Outputs, without a graph.
        targets : BatchTargets
            Targets and weights of the batch.
        network : Network
            Which has the submodels.

        Returns
        -------
        losses : Tensor of shape (member, task)
            Losses; 0 for a task without a label in the batch.
        gradients : Tensor of shape (member and submodel, output row, sample)
            Derivative of the loss of the row's task.
        """
        losses, gradients = self.losses_and_gradients(z, targets)
        k = network.n_submodels
        return (losses, gradients) if k == 1 else (mean_submodels(losses, k), gradients.div_(k))

    def ensemble(self, z: Tensor, n_submodels: int) -> Tensor:
        """Compute outputs that predict the mean of the submodels' predictions.

        Parameters
        ----------
        z : Tensor of shape (member and submodel, output row, sample)
            Outputs of the network.
        n_submodels : int
            Submodels of a member.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            Outputs of the members.
        """
        if n_submodels == 1:
            return z
        z = z.contiguous().unflatten(0, (-1, n_submodels))  # (member, submodel, row, sample)
        groups = self.layout.groups
        means = [group.head.mean_outputs(group.outputs(z)).flatten(1, 2) for group in groups]
        return torch.cat(means, dim=1)

    def weigh(
        self, losses: Tensor, present: Tensor, gradients: TaskGradients | None = None
    ) -> BatchWeights:
        """Weight the tasks.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Losses, without a graph.
        present : Tensor of shape (task,)
            Which tasks have a label in the batch.
        gradients : TaskGradients, default=None
            For a weighting that needs them.

        Returns
        -------
        BatchWeights
            With the part of the penalties that read losses.
        """
        own: Tensor | None = None
        vector: Tensor | None = None
        if gradients is None:
            shared = own = self.weighting.scales(losses, present)
        else:
            shared, vector = self.weighting.direction(losses, present, gradients)
        if not self._on_losses:
            return BatchWeights(shared, own, vector)
        leaf = losses.detach().requires_grad_()
        with torch.enable_grad():
            self.relations(leaf, present).backward()
        if leaf.grad is None:
            return BatchWeights(shared, own, vector)
        if vector is not None and gradients is not None:
            vector = vector + (leaf.grad.unsqueeze(1) @ gradients.jacobian).squeeze(1)
        own = leaf.grad + (1.0 if own is None else own)
        return BatchWeights(shared + leaf.grad, own, vector)

    def scale_rows(self, gradients: Tensor, scales: Tensor) -> Tensor:
        """Multiply the gradients of each task's rows by a number per task.

        Parameters
        ----------
        gradients : Tensor of shape (member and submodel, output row, sample)
            Changed in place.
        scales : Tensor of shape (member, task)
            Factors.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            The gradients.
        """
        return gradients.mul_(self.by_row(scales, len(gradients)))

    def by_row(self, scales: Tensor, n: int) -> Tensor:
        """Spread numbers by task over the rows of the tasks.

        Parameters
        ----------
        scales : Tensor of shape (member, task)
            Numbers.
        n : int
            Members and submodels.

        Returns
        -------
        Tensor of shape (member and submodel, output row, sample=1)
            Numbers by row.
        """
        by_row = scales.index_select(1, self.task_of_row).unsqueeze(-1)
        return by_row if len(scales) == n else by_row.repeat_interleave(n // len(scales), dim=0)

    def scaled(self, gradients: Tensor, scales: Tensor | None) -> Tensor:
        """Return the gradients of each task's rows times a number per task.

        Parameters
        ----------
        gradients : Tensor of shape (member and submodel, output row, sample)
            Gradients by the outputs.
        scales : Tensor of shape (member, task) or None
            Factors; None: 1.

        Returns
        -------
        Tensor of shape (member and submodel, output row, sample)
            A new tensor, or the same for None.
        """
        if scales is None:
            return gradients
        return gradients * self.by_row(scales, len(gradients))

    def task_losses(self, z: Tensor, targets: BatchTargets) -> Tensor:
        """Compute ``mean_labelled(w_it * loss_t)`` of each task, for autograd.

        Parameters
        ----------
        z : Tensor of shape (member, output row, sample)
            Outputs.
        targets : BatchTargets
            Targets and weights of the batch.

        Returns
        -------
        Tensor of shape (member, task)
            Losses; 0 for a task without a label in the batch.
        """
        return _TaskLosses.apply(z, self, targets)

    def forward(self, losses: Tensor, present: Tensor, network: Network) -> Tensor:
        """Compute the objective, for autograd.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            From :meth:`task_losses`, means over submodels.
        present : Tensor of shape (task,)
            Which tasks have a label in the batch.
        network : Network
            Whose weights the penalties read.

        Returns
        -------
        Tensor of shape ()
            Sum over members and tasks.
        """
        total = self.weighting(losses, present).sum() + self.relations(losses, present)
        omega = self.omega(network)
        return total if omega is None else total + omega

    def relations(self, losses: Tensor, present: Tensor) -> Tensor:
        """Compute the terms of Omega that read losses.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            From :meth:`task_losses`.
        present : Tensor of shape (task,)
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape ()
            Differentiable.
        """
        total = losses.new_zeros(())
        for penalty in self._on_losses:
            total = total + penalty.strength * penalty.of_losses(losses, present)
        return total

    def omega(self, network: Network) -> Tensor | None:
        """Compute the terms of ``Omega(theta)`` that read weights, the sharing scheme's too.

        Parameters
        ----------
        network : Network
            Whose weights the penalties read.

        Returns
        -------
        Tensor of shape () or None
            Differentiable; None if there is no such term.
        """
        return Omega(self.penalties, network)()

    def backward(
        self,
        z: Tensor,
        targets: BatchTargets,
        network: Network,
        omega: Omega | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Add the gradient of the objective to ``.grad`` of all parameters.

        The same as ``self(self.task_losses(z, targets), ...).backward()``, with the mean over
        submodels, and without a graph over the losses: their gradient is known, so that the graph
        starts at the outputs.

        Parameters
        ----------
        z : Tensor of shape (member and submodel, output row, sample)
            Outputs, with their graph.
        targets : BatchTargets
            Targets and weights of the batch.
        network : Network
            Whose weights the penalties read.
        omega : Omega or None, default=None
            Of the penalties and the network; None: made here.

        Returns
        -------
        losses : Tensor of shape (member, task)
            Losses, without a graph.
        weights : Tensor of shape (member, task)
            The weights in force.
        """
        losses, gradients = self.mean_losses_and_gradients(z.detach(), targets, network)
        weights = self.weigh(losses, targets.present).shared
        z.backward(self.scale_rows(gradients, weights))
        omega = Omega(self.penalties, network) if omega is None else omega
        omega.backward()
        return losses, weights
