"""The heads of all tasks as one stacked layer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from skmtl.heads._layout import HeadGroup, Layout
from skmtl.layers import Seeds, StackedLinear, activation_layer, check_sizes


class StackedHeads(nn.Module):
    """Optional hidden layers per task, then the output rows of all tasks.

    ``z[m, row] = h[m, task of row] . weight[m, :, row] + bias[m, row]``.

    Parameters
    ----------
    layout : Layout
        Which rows belong to which task.
    in_features : int
        Width of the representation.
    n_members : int
        Number of networks.
    seeds : Seeds
        Sources of randomness.
    hidden_layer_sizes : tuple of int, default=()
        Hidden layers of each head, of its own weights.
    activation : str or type, default="relu"
        Their activation.

    Shape
    -----
    - Input: (member, task or 1, sample, feature)
    - Output: (member, output row, sample), a transposed view
    """

    task_of_row: Tensor

    def __init__(
        self,
        layout: Layout,
        in_features: int,
        n_members: int,
        seeds: Seeds,
        hidden_layer_sizes: tuple[int, ...] = (),
        activation: Any = "relu",
    ) -> None:
        super().__init__()
        sizes = check_sizes(hidden_layer_sizes, "head_layer_sizes")
        widths = (in_features, *sizes)
        copies = n_members * layout.n_tasks
        self.layout = layout
        self.register_buffer("task_of_row", torch.as_tensor(layout.task_of_row), persistent=False)
        self.n_members = n_members
        self.hidden = nn.ModuleList(
            StackedLinear(copies, n_in, n_out, seeds.weights) for n_in, n_out in pairwise(widths)
        )
        self.activation = activation_layer(activation)
        self.output = StackedLinear(n_members, widths[-1], layout.n_rows, seeds.weights)

    def forward(self, h: Tensor) -> Tensor:
        """Compute the output rows of all tasks."""
        if self.hidden:
            h = h.expand(-1, self.layout.n_tasks, -1, -1).flatten(0, 1)
            for layer in self.hidden:
                h = self.activation(layer(h))
            h = h.unflatten(0, (self.n_members, self.layout.n_tasks))
        if h.shape[1] == 1:
            z = self.output(h.squeeze(1))  # (member, sample, output row)
        else:
            groups = self.layout.groups
            n_rows = [group.n_tasks * group.width for group in groups]
            # Split, not sliced: the gradient of a slice is as large as the whole.
            parts = zip(
                groups,
                h.split([group.n_tasks for group in groups], dim=1),
                self.output.weight.split(n_rows, dim=-1),
                self.output.bias.split(n_rows, dim=-1),
                strict=True,
            )
            z = torch.cat([_rows_of(*part) for part in parts], dim=-1)
        return z.transpose(1, 2)

    def mixture(self, weights: Tensor, experts: Tensor) -> Tensor:
        """Compute the output rows for mixtures of experts, without hidden layers.

        As ``self(mixtures)``, with the mixing after the linear layer in place of before it:
        there are fewer outputs than features.

        Parameters
        ----------
        weights : Tensor of shape (member, expert, task or 1, sample or 1)
            Weights of the experts.
        experts : Tensor of shape (member, expert, sample, feature)
            Representations.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            Outputs.
        """
        y = self.output.weight.mT.unsqueeze(1) @ experts.mT  # (member, expert, row, sample)
        by_row = weights if weights.shape[2] == 1 else weights.index_select(2, self.task_of_row)
        return (by_row * y).sum(1) + self.output.bias.mT


def _rows_of(group: HeadGroup, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute the rows of one group, each task from its own representation."""
    shape = (group.n_tasks, group.width)
    # (member, task, feature, output) and (member, task, 1, output)
    weight = weight.unflatten(-1, shape).transpose(1, 2)
    bias = bias.unflatten(-1, shape).transpose(1, 2)
    if group.width == 1 and h.is_contiguous():  # a product with one column is slow
        z = (h * weight.mT).sum(-1, keepdim=True) + bias
    else:
        z = torch.matmul(h, weight) + bias
    return z.transpose(1, 2).flatten(2)  # (member, sample, task and output)
