"""Gates: mixtures of experts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, StackedLinear


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
    - Output: (member, expert, gate, sample): a softmax over a short last axis is slow
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
    # A small product for each sample: (gate, expert) by (expert, feature).
    by_sample = torch.matmul(weights.permute(0, 3, 2, 1), experts.flatten(3).transpose(1, 2))
    return by_sample.transpose(1, 2).unflatten(-1, shape)


def for_copies(h: Tensor, n_copies: int) -> Tensor:
    """Give each member's representation to `n_copies` copies of the next block.

    Parameters
    ----------
    h : Tensor of shape (member, sample, ...)
        Representations.
    n_copies : int
        Copies in each member.

    Returns
    -------
    Tensor of shape (member and copy, sample, ...), or (sample, ...) for a single member
        A view where that is possible: copies of one input are faster without a copy of it.
    """
    if len(h) == 1:
        return h[0]
    return h.unsqueeze(1).expand(-1, n_copies, *h.shape[1:]).flatten(0, 1)


def levels(
    blocks: Sequence[Block], inputs: Inputs, n_levels: int | None
) -> list[tuple[list[Block], Inputs]]:
    """Split the blocks of a trunk into levels.

    Parameters
    ----------
    blocks : sequence of Block
        The trunk, with at least one block.
    inputs : Inputs
        What the first reads.
    n_levels : int or None
        Number of levels, of nearly equal numbers of blocks; None: one for each block.

    Returns
    -------
    list of (list of Block, Inputs)
        The blocks of each level and what the level reads.

    Raises
    ------
    ValueError
        If there are fewer blocks than levels.
    """
    n_levels = len(blocks) if n_levels is None else n_levels
    if n_levels > len(blocks):
        raise ValueError(
            f"Parameter `n_levels` can be at most the number of blocks of the trunk, {len(blocks)}"
            f" here. Found `n_levels = {n_levels}`. Give the trunk more layers, or lower it."
        )
    parts = [list(part) for part in np.array_split(np.arange(len(blocks)), n_levels)]
    reads = [inputs, *(Inputs(blocks[part[-1]].output_shape) for part in parts[:-1])]
    return [([blocks[i] for i in part], read) for part, read in zip(parts, reads, strict=True)]
