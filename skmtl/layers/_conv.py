"""Many convolutions of one shape as one stacked computation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skmtl.layers._linear import spread_members


class StackedConv2d(nn.Module):
    """`n_copies` independent convolutions that keep height and width.

    An input for all copies is one convolution with ``n_copies * out_channels`` channels; an
    input for each is one grouped convolution.

    Parameters
    ----------
    n_copies : int
        Number of layers, at least 1.
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int
        Height and width of the kernel.  The border is filled with zeros; an even kernel
        reaches one pixel further to the bottom and to the right.
    generator : torch.Generator
        Draws the initial weights, uniformly within ``1 / sqrt(in_channels * kernel_size**2)``
        as ``torch.nn.Conv2d`` does.

    Shape
    -----
    - Input: (sample, in_channels, height, width), the same for every copy, or
      (copy, sample, in_channels, height, width)
    - Output: (copy, sample, out_channels, height, width)
    """

    def __init__(
        self,
        n_copies: int,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(in_channels * kernel_size**2)
        kernel = (kernel_size, kernel_size)
        self.weight = nn.Parameter(
            torch.empty(n_copies, out_channels, in_channels, *kernel, dtype=torch.float32)
        )
        self.bias = nn.Parameter(torch.empty(n_copies, out_channels, dtype=torch.float32))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Apply every layer to its input."""
        n_copies, n_out, _, size, _ = self.weight.shape
        shared = x.dim() == 4
        # torch's padding="same" warns about even kernels; the border is a copy in any case.
        before, after = (size - 1) // 2, size // 2
        # (sample, copy*in, height, width)
        joined = x if shared else spread_members(x, n_copies).transpose(0, 1).flatten(1, 2)
        if before != after:
            joined = F.pad(joined, (before, after, before, after))
        y = F.conv2d(
            joined,
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            padding=before if before == after else 0,
            groups=1 if shared else n_copies,
        )  # (sample, copy*out, height, width)
        return y.unflatten(1, (n_copies, n_out)).transpose(0, 1)
