"""What a trunk reads, and what it is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from skmtl.layers._linear import StackedLinear, spread_members
from skmtl.layers._seeds import Seeds

#: How the names of parameters end that are no weights of a product: penalties and weight decay
#: leave them alone.
UNWEIGHTED = ("bias", "scale", "frequencies")

#: The number of the copy in the name of a parameter of a user's module.
COPY_OF_MODULE = re.compile(r"\bcopies\.(\d+)\.")


def is_weight(name: str) -> bool:
    """Tell whether a parameter is a weight of a product.

    Parameters
    ----------
    name : str
        Its name in a module.

    Returns
    -------
    bool
        False for intercepts, scales and frequencies.
    """
    return not name.endswith(UNWEIGHTED)


@dataclass(frozen=True)
class Inputs:
    """What is known of the features before a network is built.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample.
    numbers : tuple of int, default=None
        Columns of a table that hold numbers, as against flags and categories; None: all.
    categories : tuple of (int, int) or None, default=()
        First column and the column after the last of each one-hot encoded category; None:
        not known.
    sample : callable, default=None
        Returns some thousand training rows, an ndarray of shape (n, n_features).
    """

    shape: tuple[int, ...]
    numbers: tuple[int, ...] | None = None
    categories: tuple[tuple[int, int], ...] | None = ()
    sample: Callable[[], np.ndarray] | None = None

    @property
    def size(self) -> int:
        """Number of features of one sample."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Block:
    r"""A level of a trunk that is not built yet.

    Parameters
    ----------
    make : callable
        Takes the number of copies and :class:`Seeds`, and returns a module that maps
        (sample, \*input shape), read by all copies, (copy, sample, \*input shape) or (member,
        sample, \*input shape), read by the copies of a member, to (copy, sample, \*output
        shape).  Its parameters have the copies first.
    output_shape : tuple of int
        Shape of what it makes of one sample.
    """

    make: Callable[[int, Seeds], nn.Module]
    output_shape: tuple[int, ...]

    def build(self, n_copies: int, seeds: Seeds) -> nn.Module:
        """Build copies of the block, each of its own weights.

        Parameters
        ----------
        n_copies : int
            How many.
        seeds : Seeds
            Sources of randomness.

        Returns
        -------
        torch.nn.Module
            The copies, stacked.
        """
        return self.make(n_copies, seeds)


class Stack(nn.Module):
    r"""Blocks one after the other: a trunk, or a part of one.

    Parameters
    ----------
    blocks : sequence of Block
        From the features on; empty: the features are the representation.
    inputs : Inputs
        What the first of them reads.
    n_copies : int
        Number of copies.
    seeds : Seeds
        Sources of randomness.

    Shape
    -----
    - Input: (sample, \*shape), the same for every copy, or (copy, sample, \*shape), or (member,
      sample, \*shape), read by the copies of each member
    - Output: (copy, sample, \*output shape)
    """

    def __init__(
        self, blocks: Sequence[Block], inputs: Inputs, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block.build(n_copies, seeds) for block in blocks)
        self.n_copies = n_copies
        self.n_input_axes = len(inputs.shape)
        self.out_features = (blocks[-1].output_shape if blocks else inputs.shape)[0]

    def forward(self, x: Tensor) -> Tensor:
        """Apply all blocks."""
        for block in self.blocks:
            x = block(x)
        if self.blocks:
            return x
        if x.dim() == self.n_input_axes + 1:
            return x.expand(self.n_copies, *x.shape)
        return spread_members(x, self.n_copies)

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the linear layers, if a ReLU follows each, and nothing else.

        Returns
        -------
        list of StackedLinear or None
            None for any other trunk.
        """
        layers: list[StackedLinear] = []
        for block in self.blocks:
            plan: Any = getattr(block, "relu_layer", None)
            layer = None if plan is None else plan()
            if layer is None:
                return None
            layers.append(layer)
        return layers
