"""Many linear layers of one shape as one stacked computation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def spread_members(x: Tensor, n_copies: int) -> Tensor:
    """Give each copy of a layer what its member reads.

    Parameters
    ----------
    x : Tensor of shape (member, ...)
        Inputs of members, of which each has the same number of copies, one after the other.
    n_copies : int
        Number of copies, a multiple of the number of members.

    Returns
    -------
    Tensor of shape (copy, ...)
        The same for the copies of a member; x itself where each member has one.
    """
    return x if len(x) == n_copies else x.repeat_interleave(n_copies // len(x), dim=0)


def mean_submodels(losses: Tensor, n_submodels: int) -> Tensor:
    """Return the mean over the submodels of each member.

    Parameters
    ----------
    losses : Tensor of shape (member and submodel, task)
        Losses.
    n_submodels : int
        Submodels of a member.

    Returns
    -------
    Tensor of shape (member, task)
        Means.
    """
    return losses.unflatten(0, (-1, n_submodels)).mean(1)


class StackedLinear(nn.Module):
    """`n_copies` independent linear layers, computed as one batched product.

    For copy s: ``y[s] = x[s] @ weight[s] + bias[s]``.

    Parameters
    ----------
    n_copies : int
        Number of layers, at least 1.
    in_features, out_features : int
        Width of the input and of the output.
    generator : torch.Generator
        Draws the initial weights, uniformly within ``1 / sqrt(in_features)`` as
        ``torch.nn.Linear`` does.

    Shape
    -----
    - Input: (sample, in_features), the same for every copy, or (copy, sample, in_features), or
      (member, sample, in_features), read by the copies of each member, which stand together
    - Output: (copy, sample, out_features)
    """

    def __init__(
        self, n_copies: int, in_features: int, out_features: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(max(in_features, 1))
        self.weight = nn.Parameter(
            torch.empty(n_copies, in_features, out_features, dtype=torch.float32)
        )
        self.bias = nn.Parameter(torch.empty(n_copies, 1, out_features, dtype=torch.float32))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Apply every layer to its input."""
        n_copies, n_in, n_out = self.weight.shape
        if x.dim() == 2 and not x.requires_grad:
            x = x.expand(n_copies, *x.shape)  # the features themselves
        if x.dim() == 3:
            x = spread_members(x, n_copies)
            return torch.baddbmm(self.bias, x, self.weight)
        # One input of all copies that wants a gradient: one wide product sums it on the way.
        wide = self.weight.transpose(0, 1).reshape(n_in, n_copies * n_out)
        y = torch.addmm(self.bias.reshape(n_copies * n_out), x, wide)
        # Contiguous, since what follows may act in place, which is slow on a view.
        return y.view(len(x), n_copies, n_out).transpose(0, 1).contiguous()
