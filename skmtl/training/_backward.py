"""One step's gradients by autograd: for weightings of losses, and for those of gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from skmtl.training._batches import BatchTargets
from skmtl.training._network import Network
from skmtl.training._objective import Objective
from skmtl.training._omega import Omega
from skmtl.training._task_gradients import (
    ComputedGradients,
    body_parameters,
    choose_wrt,
    head_inputs,
    parameter_gradients,
    representation_gradients,
)


class StepResult(NamedTuple):
    """What is known of a batch once its gradients are.

    Parameters
    ----------
    losses : Tensor of shape (member, task)
        Losses; 0 for a task without a label in the batch.
    weights : Tensor of shape (member, task)
        The ``a_t`` in force.
    z : Tensor of shape (member and submodel, output row, sample)
        Outputs.
    """

    losses: Tensor
    weights: Tensor
    z: Tensor


class Backward(Protocol):
    """Adds the gradient of the objective to ``.grad`` of all parameters."""

    def __call__(self, x: Tensor, targets: BatchTargets) -> StepResult:
        """Take a batch."""


class LossBackward:
    """One backward pass from the weighted sum of losses.

    Parameters
    ----------
    network : Network
        The network.
    objective : Objective
        Whose weighting reads losses.
    """

    def __init__(self, network: Network, objective: Objective) -> None:
        self.network = network
        self.objective = objective
        self._omega = Omega(objective.penalties, network)

    def __call__(self, x: Tensor, targets: BatchTargets) -> StepResult:
        """Set ``.grad`` of all parameters."""
        z = self.network(x, targets)
        losses, weights = self.objective.backward(z, targets, self.network, self._omega)
        return StepResult(losses, weights, z.detach())


class RepresentationBackward:
    """Gradients of the tasks by the one representation that all heads read.

    The heads get the gradients of their own losses; the trunk that of the direction which
    the weighting makes of the tasks' gradients.

    Parameters
    ----------
    network : Network
        The network.
    objective : Objective
        Whose weighting reads gradients.
    """

    def __init__(self, network: Network, objective: Objective) -> None:
        self.network = network
        self.objective = objective
        self._omega = Omega(objective.penalties, network)
        self._heads = [p for p in network.heads.parameters() if p.requires_grad]

    def __call__(self, x: Tensor, targets: BatchTargets) -> StepResult:
        """Set ``.grad`` of all parameters."""
        network, objective, heads = self.network, self.objective, self.network.heads
        h = network.represent(x)  # (member and submodel, task=1, sample, feature)
        leaf = head_inputs(h, network)
        z = heads(leaf)
        losses, by_z = objective.mean_losses_and_gradients(z.detach(), targets, network)
        gradients = representation_gradients(z, leaf, by_z, network)
        weighed = objective.weigh(losses, targets.present, gradients)
        shared = weighed.vector
        if shared is None:
            shared = gradients.combined(weighed.shared)
        if self._heads:
            z.backward(objective.scaled(by_z, weighed.own), inputs=self._heads)
        h.backward(shared.view_as(h))
        self._omega.backward()
        return StepResult(losses, weighed.shared, z.detach())


class ParameterBackward:
    """Gradients of the tasks by all parameters between features and heads.

    Parameters
    ----------
    network : Network
        The network.
    objective : Objective
        Whose weighting reads gradients.
    """

    def __init__(self, network: Network, objective: Objective) -> None:
        self.network = network
        self.objective = objective
        self._omega = Omega(objective.penalties, network)
        self._shared = body_parameters(network.body)
        self._heads = [p for p in network.heads.parameters() if p.requires_grad]

    def __call__(self, x: Tensor, targets: BatchTargets) -> StepResult:
        """Set ``.grad`` of all parameters."""
        network, objective, shared = self.network, self.objective, self._shared
        z = network(x, targets)
        losses, by_z = objective.mean_losses_and_gradients(z.detach(), targets, network)
        gradients = ComputedGradients(lambda: parameter_gradients(z, by_z, network, shared))
        weighed = objective.weigh(losses, targets.present, gradients)
        if self._heads:
            own = objective.scaled(by_z, weighed.own)
            z.backward(own, inputs=self._heads, retain_graph=True)
        if weighed.vector is not None:
            add_gradients(shared, weighed.vector)
        elif gradients.is_computed:
            add_gradients(shared, gradients.combined(weighed.shared))
        else:  # the weights are those of an earlier step
            z.backward(objective.scaled(by_z, weighed.shared), inputs=shared)
        self._omega.backward()
        return StepResult(losses, weighed.shared, z.detach())


def add_gradients(parameters: Sequence[Tensor], vector: Tensor) -> None:
    """Add a vector to the gradients of parameters.

    Parameters
    ----------
    parameters : sequence of Tensor
        Members in their first axis.
    vector : Tensor of shape (member, coordinate)
        The parameters one after the other.
    """
    sizes = [parameter.numel() // len(vector) for parameter in parameters]
    for parameter, part in zip(parameters, vector.split(sizes, dim=1), strict=True):
        grad = part.reshape(parameter.shape).contiguous()
        parameter.grad = grad if parameter.grad is None else parameter.grad + grad


def autograd_backward(network: Network, objective: Objective) -> Backward:
    """Choose how gradients are computed by autograd.

    Parameters
    ----------
    network : Network
        The network.
    objective : Objective
        Losses, weighting and penalties.

    Returns
    -------
    Backward
        For the kind of the weighting.

    Raises
    ------
    ValueError
        If the weighting reads gradients and the tasks share nothing.
    """
    if not objective.weighting.needs_gradients:
        return LossBackward(network, objective)
    if choose_wrt(network, objective.weighting) == "representation":
        return RepresentationBackward(network, objective)
    return ParameterBackward(network, objective)
