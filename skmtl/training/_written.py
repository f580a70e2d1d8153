"""One step of a chain of linear layers and ReLUs with its gradient written out."""

from __future__ import annotations

import torch
from torch import Tensor

from skmtl.layers import StackedLinear
from skmtl.training._backward import StepResult
from skmtl.training._batches import BatchTargets
from skmtl.training._network import Network
from skmtl.training._objective import Objective
from skmtl.training._task_gradients import LinearHeadGradients, choose_wrt


class WrittenBackward:
    """Losses and gradients of the default network, without autograd.

    The products are autograd's, but no graph is recorded and walked, and no module called:
    an epoch of 20,000 rows in batches of 256 takes 25 ms in place of 36 with one task, and
    35 in place of 47 with ten (benchmarks/fit_speed.py).

    Parameters
    ----------
    layers : list of StackedLinear
        From the features to the output rows, with a ReLU between any two.
    objective : Objective
        Losses and weighting, without penalties.
    """

    def __init__(self, layers: list[StackedLinear], objective: Objective) -> None:
        self.layers = layers
        self.objective = objective

    @classmethod
    def of(cls, network: Network, objective: Objective) -> WrittenBackward | None:
        """Return the steps of a network, or None if only autograd knows its gradient."""
        layers = network.relu_chain()
        if layers is None or len(objective.penalties):
            return None
        weighting = objective.weighting
        if weighting.needs_gradients and choose_wrt(network, weighting) == "parameters":
            return None
        trained = all(p.requires_grad for p in network.parameters())
        return cls(layers, objective) if trained and not _has_hooks(network) else None

    @torch.no_grad()
    def __call__(self, x: Tensor, targets: BatchTargets) -> StepResult:
        """Set ``.grad`` of all parameters."""
        *hidden, output = self.layers
        h = x.expand(len(output.weight), *x.shape)  # (member, sample, feature)
        inputs = [h]
        for layer in hidden:
            h = torch.baddbmm(layer.bias, h, layer.weight).relu_()
            inputs.append(h)
        # Transposed, so that the samples are last: (member, output row, sample).
        z = torch.baddbmm(output.bias.mT, output.weight.mT, h.mT)
        losses, by_z = self.objective.losses_and_gradients(z, targets)
        weights, own, delta = self._weigh(losses, by_z, targets.present)
        output.weight.grad = torch.bmm(h.mT, own.mT)
        output.bias.grad = own.sum(2).unsqueeze(1)
        for layer in reversed(hidden):
            h = inputs.pop()
            delta = torch.ops.aten.threshold_backward(delta.view_as(h), h, 0)
            layer.weight.grad = torch.bmm(inputs[-1].mT, delta)
            layer.bias.grad = delta.sum(1, keepdim=True)
            if layer is not hidden[0]:
                delta = torch.bmm(delta, layer.weight.mT)
        return StepResult(losses, weights, z)

    def _weigh(
        self, losses: Tensor, by_z: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weights, and the gradients by the outputs and by what the heads read."""
        objective, output = self.objective, self.layers[-1]
        if not objective.weighting.needs_gradients:
            weights = objective.weigh(losses, present).shared
            by_z = objective.scale_rows(by_z, weights)
            return weights, by_z, torch.bmm(by_z.mT, output.weight.mT)
        layout = objective.layout
        gradients = LinearHeadGradients(by_z, output.weight, objective.task_of_row, layout.n_tasks)
        weighed = objective.weigh(losses, present, gradients)
        if weighed.vector is not None:
            return weighed.shared, by_z, weighed.vector
        shared = objective.scaled(by_z, weighed.shared)
        return weighed.shared, by_z, torch.bmm(shared.mT, output.weight.mT)


def _has_hooks(network: Network) -> bool:
    """Tell whether somebody listens to a module or a parameter."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    listeners = [getattr(module, kind) for module in network.modules() for kind in kinds]
    return any(listeners) or any(p._backward_hooks for p in network.parameters())
