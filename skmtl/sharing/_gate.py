"""Gates: mixtures of experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skmtl.layers import Inputs, Seeds, StackedLinear

#: Up to so many products of a gate and an expert are faster one by one than as small matrices,
#: and a softmax over so few experts is slow as the last axis (measured on a CPU, batches of 256).
_FEW = 24


class Gate(nn.Module):
    """Weights of experts for each sample: ``softmax(x V_g + b_g)``.

    Departure: the papers' gates have no intercept b; published code has it.

    Parameters
    ----------
    n_members, n_gates : int
        Number of networks, and of gates in each.
    inputs : Inputs
        What a gate reads; samples with several axes are read as one row.
    n_experts : int
        Number of experts; the weight of a single one is 1, without a parameter.
    seeds : Seeds
        Sources of randomness.

    Shape
    -----
    - Input: (sample, ...), the same for all gates, or (member and gate, sample, ...)
    - Output: (member, expert, gate, sample)
    """

    def __init__(
        self, n_members: int, n_gates: int, inputs: Inputs, n_experts: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.n_members, self.n_gates = n_members, n_gates
        self.n_axes = len(inputs.shape)
        self.linear = None
        if n_experts > 1:
            copies = n_members * n_gates
            self.linear = StackedLinear(copies, inputs.size, n_experts, seeds.weights)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the experts."""
        if self.linear is None:
            n = x.shape[-1 - self.n_axes]
            return x.new_ones(self.n_members, 1, self.n_gates, n)
        rows = x.flatten(-self.n_axes)
        if self.linear.weight.shape[-1] > _FEW:  # in the order in which `mix` multiplies
            by_gate = torch.softmax(self.linear(rows), dim=-1)  # (member and gate, sample, expert)
            return by_gate.unflatten(0, (self.n_members, self.n_gates)).permute(0, 3, 1, 2)
        weight, bias = (p.unflatten(0, (self.n_members, -1)) for p in self.linear.parameters())
        if rows.dim() == 2:
            by_expert = weight.permute(0, 3, 1, 2)  # (member, expert, gate, input)
            scores = (by_expert.flatten(0, 2) @ rows.mT).view(*by_expert.shape[:3], -1)
        else:
            scores = weight.mT @ rows.unflatten(0, (self.n_members, -1)).mT
            scores = scores.transpose(1, 2)  # (member, expert, gate, sample)
        return torch.softmax(scores + bias.permute(0, 3, 1, 2), dim=1)


def mix(weights: Tensor, experts: Tensor) -> Tensor:
    """Mix experts by weights of each sample.

    Parameters
    ----------
    weights : Tensor of shape (member, expert, gate, sample)
        Weights.
    experts : Tensor of shape (member, expert, sample, ...)
        What the experts make of the samples.

    Returns
    -------
    Tensor of shape (member, gate, sample, ...)
        ``sum over experts of weight * expert``.
    """
    shape = experts.shape[3:]
    n_experts, n_gates = weights.shape[1:3]
    if n_experts * n_gates <= _FEW or 1 in {n_experts, n_gates}:
        each = weights.reshape(*weights.shape, *[1] * len(shape)) * experts.unsqueeze(2)
        return each.sum(1) if n_experts > 1 else each[:, 0]
    # A small product for each sample: (gate, expert) by (expert, feature).
    by_sample = torch.matmul(weights.permute(0, 3, 2, 1), experts.flatten(3).transpose(1, 2))
    return by_sample.transpose(1, 2).unflatten(-1, shape)
