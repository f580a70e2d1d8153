"""What it takes to build a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from skmtl.heads import Layout, StackedHeads
from skmtl.layers import Inputs, PiecewiseLinearEncoding, Seeds
from skmtl.training._network import Network


@dataclass(frozen=True)
class NetworkSpec:
    """What it takes to build the network.

    Parameters
    ----------
    sharing : Sharing
        How tasks share.
    trunk : Trunk
        Features to representation.
    head_layer_sizes : tuple of int
        Hidden layers of each head.
    activation : str or type
        Activation of the heads' hidden layers.
    encoding : PiecewiseLinearEncoding or None, default=None
        What the features go through before the trunk.
    """

    sharing: Any
    trunk: Any
    head_layer_sizes: Any
    activation: Any
    encoding: PiecewiseLinearEncoding | None = None

    def build(self, inputs: Inputs, layout: Layout, seeds: Seeds, n_members: int = 1) -> Network:
        """Build the network with fresh weights.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.
        layout : Layout
            Tasks and their output rows.
        seeds : Seeds
            Sources of randomness.
        n_members : int, default=1
            Number of networks side by side.

        Returns
        -------
        Network
            On the CPU, in float32.

        Raises
        ------
        ValueError
            If samples have more than one axis and the trunk does not take that.
        """
        if len(inputs.shape) != 1 and not self.trunk.takes_arrays:
            raise ValueError(
                f"The trunk {self.trunk!r} takes tables, X of shape (n_samples, n_features). "
                f"Found samples of shape {inputs.shape}. Use a trunk that takes arrays, such "
                "as CNN or ModuleTrunk."
            )
        if self.encoding is not None:
            inputs = replace(inputs, shape=(self.encoding.out_features,))
        body = self.sharing.build(
            self.trunk, inputs=inputs, layout=layout, n_members=n_members, seeds=seeds
        )
        n_submodels = self.trunk.n_submodels
        heads = StackedHeads(
            layout,
            body.out_features,
            n_members * n_submodels,
            seeds,
            self.head_layer_sizes,
            self.activation,
        )
        shapes = [inputs.shape, *(block.output_shape for block in self.trunk.blocks(inputs))]
        n_copies = max(_n_copies(body.trunk), n_members)
        widest = max(int(np.prod(shape)) for shape in shapes) * n_copies
        row_size = n_submodels * max(widest, n_members * layout.n_tasks * body.out_features)
        return Network(
            body,
            heads,
            n_submodels=n_submodels,
            row_size=row_size,
            n_input_axes=len(inputs.shape),
            encoding=self.encoding,
            follows_dtype=self.trunk.follows_dtype,
        )


def _n_copies(trunk: nn.Module) -> int:
    """Return the largest number of copies of a block that are computed at once."""
    copies = [getattr(module, "copies", None) for module in trunk.modules()]
    of_modules = [len(listed) for listed in copies if isinstance(listed, nn.ModuleList)]
    return max(of_modules or [1, *(len(parameter) for parameter in trunk.parameters())])
