"""One step of a chain of linear layers and ReLUs with its gradient written out."""

from __future__ import annotations

import torch
from torch import Tensor

from skmtl.layers import StackedLinear
from skmtl.training._batches import BatchTargets
from skmtl.training._network import Network
from skmtl.training._objective import Objective


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
        trained = all(p.requires_grad for p in network.parameters())
        return cls(layers, objective) if trained and not _has_hooks(network) else None

    @torch.no_grad()
    def __call__(self, x: Tensor, targets: BatchTargets) -> Tensor:
        """Set ``.grad`` of all parameters.

        Parameters
        ----------
        x : Tensor of shape (sample, feature)
            Features.
        targets : BatchTargets
            Targets and weights of the batch.

        Returns
        -------
        Tensor of shape (member, task)
            Losses.
        """
        *hidden, output = self.layers
        h = x.expand(len(output.weight), *x.shape)  # (member, sample, feature)
        inputs = [h]
        for layer in hidden:
            h = torch.baddbmm(layer.bias, h, layer.weight).relu_()
            inputs.append(h)
        # Transposed, so that the samples are last: (member, output row, sample).
        z = torch.baddbmm(output.bias.mT, output.weight.mT, h.mT)
        losses, gradients = self.objective.scaled_gradients(z, targets)
        delta = gradients.mT
        for layer, h in zip(reversed(self.layers), reversed(inputs), strict=True):
            layer.weight.grad = torch.bmm(h.mT, delta)
            layer.bias.grad = delta.sum(1, keepdim=True)
            if h is not inputs[0]:
                delta = torch.bmm(delta, layer.weight.mT)
                delta = torch.ops.aten.threshold_backward(delta, h, 0)
        return losses


def _has_hooks(network: Network) -> bool:
    """Tell whether somebody listens to a module or a parameter."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    listeners = [getattr(module, kind) for module in network.modules() for kind in kinds]
    return any(listeners) or any(p._backward_hooks for p in network.parameters())
