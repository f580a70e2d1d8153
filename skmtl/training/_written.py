"""One step of linear layers and ReLUs with its gradient written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skmtl.layers import StackedLinear, spread_members
from skmtl.training._backward import StepResult, add_gradients
from skmtl.training._batches import BatchTargets
from skmtl.training._network import Network, as_type
from skmtl.training._objective import Objective
from skmtl.training._task_gradients import (
    ComputedGradients,
    LinearHeadGradients,
    choose_wrt,
)
from skmtl.training._written_heads import CommonHeads, OwnHeads, WrittenHeads
from skmtl.weighting import TaskGradients


class WrittenBackward:
    """Losses and gradients of the default network, without autograd.

    The products are autograd's, but no graph is recorded and walked, and no module called:
    an epoch of 20,000 rows in batches of 256 takes 25 ms in place of 36 with one task, 35 in
    place of 47 with ten, and 158 in place of 214 with a net for each of ten
    (benchmarks/fit_speed.py).

    Parameters
    ----------
    hidden : list of StackedLinear
        From the features on, with a ReLU behind each: by member, or by member and task.
    heads : WrittenHeads
        What they lead to.
    network : Network
        That they are of.
    objective : Objective
        Losses and weighting, without penalties.
    wrt : {"representation", "parameters"} or None, default=None
        By what the weighting reads gradients of single tasks, if it does.
    """

    def __init__(
        self,
        hidden: list[StackedLinear],
        heads: WrittenHeads,
        network: Network,
        objective: Objective,
        wrt: str | None = None,
    ) -> None:
        # Looked up once: a module's attributes cost as much as a small product.
        self._weights = [layer.weight for layer in hidden]
        self._biases = [layer.bias for layer in hidden]
        self._heads = heads
        self._n_copies = heads.n_copies
        self._dtype = heads.weight.dtype
        self._products = network.products()
        self.encode = network.encode
        self.objective = objective
        self.wrt = wrt
        self._constant: Tensor | None = None
        self._by_row: Tensor | None = None
        weighting: Any = objective.weighting
        if weighting.is_constant:
            self._constant = weighting.weights
            if not bool((weighting.weights == 1).all()):
                self._by_row = objective.by_row(weighting.weights, network.n_members)

    @classmethod
    def of(cls, network: Network, objective: Objective) -> WrittenBackward | None:
        """Return the steps of a network, or None if only autograd knows its gradient."""
        hidden = network.hidden_chain()
        if hidden is None or len(objective.penalties):
            return None
        trained = all(p.requires_grad for p in network.parameters())
        if not trained:
            return None
        output, layout = network.heads.output, objective.layout
        is_common = network.body.has_one_representation
        heads = CommonHeads(output) if is_common else OwnHeads(output, layout)
        weighting = objective.weighting
        wrt = choose_wrt(network, weighting) if weighting.needs_gradients else None
        return cls(hidden, heads, network, objective, wrt)

    @torch.no_grad()
    def __call__(self, x: Tensor, targets: BatchTargets) -> StepResult:
        """Set ``.grad`` of all parameters."""
        objective, heads, n = self.objective, self._heads, self._n_copies
        x = self.encode(x)
        h = x.expand(n, -1, -1) if x.dim() == 2 else spread_members(x, n)  # (copy, sample, f)
        inputs = [h]
        with self._products:
            for weight, bias in zip(self._weights, self._biases, strict=True):
                h = torch.baddbmm(bias, h, weight).relu_()
                inputs.append(h)
            z = as_type(heads.outputs(h), self._dtype)
        losses, by_z = objective.losses_and_gradients(z, targets)
        if self._constant is not None:
            if self._by_row is not None:
                by_z.mul_(self._by_row)
            self._back(by_z, inputs, by_z)
            return StepResult(losses, self._constant, z)
        gradients = self._gradients(by_z, inputs)
        weights, own, vector = objective.weigh(losses, targets.present, gradients)
        if gradients is None:
            by_z = objective.scale_rows(by_z, weights)
            self._back(by_z, inputs, by_z)
            return StepResult(losses, weights, z)
        shared, by_z = objective.scaled(by_z, weights), objective.scaled(by_z, own)
        if isinstance(gradients, ComputedGradients) and gradients.is_computed:
            self._back(by_z, inputs, None)
            if vector is None:
                vector = gradients.combined(weights)
            pairs = zip(self._weights, self._biases, strict=True)
            hidden = [p for pair in pairs for p in pair]
            for parameter in hidden:
                parameter.grad = None
            add_gradients(hidden, vector)
        elif vector is not None:
            self._back(by_z, inputs, None)
            self._chain(vector.view_as(h), inputs)
        else:
            self._back(by_z, inputs, shared)
        return StepResult(losses, weights, z)

    def _back(self, own: Tensor, inputs: list[Tensor], shared: Tensor | None) -> None:
        """Set the gradients of the heads and, unless None, those below."""
        with self._products:
            self._heads.set_gradients(own, inputs[-1])
            if shared is None or not self._weights:
                return
            delta = self._heads.back(shared)
        self._chain(delta, inputs)

    def _chain(self, delta: Tensor, inputs: list[Tensor]) -> None:
        """Set the gradients of the hidden layers, from that by what the heads read."""
        dtype, delta = self._dtype, as_type(delta, inputs[-1].dtype)
        with self._products:
            for i in range(len(self._weights) - 1, -1, -1):
                delta = torch.ops.aten.threshold_backward(delta, inputs[i + 1], 0)
                self._weights[i].grad = as_type(torch.bmm(inputs[i].mT, delta), dtype)
                self._biases[i].grad = as_type(delta.sum(1, keepdim=True), dtype)
                if i:
                    delta = torch.bmm(delta, self._weights[i].mT)

    def _gradients(self, by_z: Tensor, inputs: list[Tensor]) -> TaskGradients | None:
        """Return the gradients of single tasks, to be computed if the weighting asks."""
        if self.wrt is None:
            return None
        if self.wrt == "parameters":
            return ComputedGradients(lambda: self._by_parameters(by_z, inputs))
        objective = self.objective
        n_tasks = objective.layout.n_tasks
        return LinearHeadGradients(by_z, self._heads.weight, objective.task_of_row, n_tasks)

    def _by_parameters(self, by_z: Tensor, inputs: list[Tensor]) -> Tensor:
        """Compute the gradients of tasks by the hidden layers: (member, task, coordinate)."""
        n_tasks = self.objective.layout.n_tasks
        inputs = [as_type(part, self._dtype) for part in inputs]
        by_row = by_z.mT.unsqueeze(-1) * self._heads.weight.mT.unsqueeze(1)
        delta = by_row  # (member, sample, output row, feature)
        if n_tasks != by_row.shape[2]:
            delta = by_row.new_zeros(*by_row.shape[:2], n_tasks, by_row.shape[3])
            delta.index_add_(2, self.objective.task_of_row, by_row)
        parts: list[Tensor] = []
        for i in range(len(self._weights) - 1, -1, -1):
            delta = delta * (inputs[i + 1] > 0).unsqueeze(2)  # (member, sample, task, feature)
            # One product for all tasks.
            weight = torch.bmm(inputs[i].mT, delta.flatten(2)).unflatten(2, (n_tasks, -1))
            parts = [weight.transpose(1, 2).flatten(2), delta.sum(1), *parts]
            if i:
                by_input = torch.bmm(delta.flatten(1, 2), self._weights[i].mT)
                delta = by_input.unflatten(1, delta.shape[1:3])
        return torch.cat(parts, dim=2)
