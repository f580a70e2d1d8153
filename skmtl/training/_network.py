"""The network: sharing scheme and heads."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmtl.heads import Layout, StackedHeads
from skmtl.layers import Seeds, StackedLinear


class Network(nn.Module):
    r"""``head_t(sharing_t(trunk(x_i)))`` for all tasks and members at once.

    Parameters
    ----------
    body : torch.nn.Module
        Built by a sharing scheme; holds its trunks in ``body.trunk``.
    heads : StackedHeads
        The heads of all tasks.
    follows_dtype : bool, default=True
        Whether the body computes in the type of its weights, whatever that is.

    Shape
    -----
    - Input: (sample, \*shape of one sample)
    - Output: (member, output row, sample)
    """

    def __init__(self, body: nn.Module, heads: StackedHeads, *, follows_dtype: bool = True) -> None:
        super().__init__()
        self.body = body
        self.heads = heads
        self.follows_dtype = follows_dtype
        self._kept: tuple[list[Any], Network] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output rows of all tasks."""
        return self.heads(self.body(x))

    @torch.inference_mode()
    def evaluate(self, chunks: Iterable[Any]) -> Tensor:
        """Compute the outputs of many rows.

        On a CPU in float64, whatever the network was trained in: a product in float32 rounds
        differently for one row and for a thousand, and a prediction shall not depend on the
        rows beside it.

        Parameters
        ----------
        chunks : iterable of array-like of shape (n, ...)
            Features.

        Returns
        -------
        Tensor of shape (member, output row, sample), float64
            Outputs, on the CPU.
        """
        network = self._evaluator()
        like = next(network.parameters())
        outputs = []
        for chunk in chunks:
            x = torch.as_tensor(chunk).to(device=like.device, dtype=like.dtype)
            outputs.append(network(x).double().cpu())
        return torch.cat(outputs, dim=-1)

    def _evaluator(self) -> Network:
        """Return a copy in float64, which threads may share, or the network itself."""
        like = next(self.parameters())
        if like.dtype == torch.float64 or like.device.type != "cpu" or not self.follows_dtype:
            return copy.deepcopy(self).eval() if self.training else self
        version = [(tensor.data_ptr(), tensor._version) for tensor in self.state_dict().values()]
        kept = self._kept  # read once: another thread may replace it
        if kept is None or kept[0] != version:
            kept = self._kept = (version, copy.deepcopy(self).double().eval())
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the copy for evaluation."""
        return {**self.__dict__, "_kept": None}

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the layers, if the network is linear layers with ReLUs between and no more.

        Returns
        -------
        list of StackedLinear or None
            From the features to the output rows; None for any other network.
        """
        chain = getattr(self.body, "relu_chain", None)
        hidden = None if chain is None or self.heads.hidden else chain()
        return None if hidden is None else [*hidden, self.heads.output]

    def owners(self) -> list[tuple[int | None, Any]] | None:
        """Tell which task each weight belongs to, if tasks share none.

        Returns
        -------
        list of (axis, owner) or None
            For each tensor of ``state_dict()``, in order: the axis along which tasks own
            its entries, and the position of the task of each; or None and the position of
            the one task that owns it all.  None if the tasks share, or it is not known.
        """
        if not getattr(self.body, "is_separate", False):
            return None
        layout = self.heads.layout
        stacked = {
            name for name, module in self.named_modules() if isinstance(module, StackedLinear)
        }
        owners: list[tuple[int | None, Any]] = []
        for name, tensor in self.state_dict().items():
            if name.startswith("heads.output."):
                owners.append((-1, layout.task_of_row))
            elif name.rpartition(".")[0] in stacked:
                owners.append((0, np.arange(len(tensor)) % layout.n_tasks))
            elif name.startswith("body.trunk.copies."):
                owners.append((None, int(name.split(".")[3]) % layout.n_tasks))
            else:
                return None
        return owners

    def weights(self, part: str = "all") -> list[Tensor]:
        """List the weights (not the biases) of a part of the network.

        Parameters
        ----------
        part : {"all", "input", "trunk", "sharing", "heads"}, default="all"
            The part.

        Returns
        -------
        list of Tensor
            Parameters, in order.
        """
        named = [(n, p) for n, p in self.named_parameters() if n.split(".")[-1] != "bias"]
        trunk: list[Tensor] = [p for n, p in named if n.startswith("body.trunk.")]
        first: dict[str, Tensor] = {}  # of each copy of a user's module
        for name, parameter in named:
            if name.startswith("body.trunk."):
                which = name.split(".")[3] if name.startswith("body.trunk.copies.") else ""
                first.setdefault(which, parameter)
        parts: dict[str, list[Tensor]] = {
            "all": [p for _, p in named],
            "input": list(first.values()),
            "trunk": trunk,
            "sharing": [
                p for n, p in named if n.startswith("body.") and not n.startswith("body.trunk.")
            ],
            "heads": [p for n, p in named if n.startswith("heads.")],
        }
        return parts[part]


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
    """

    sharing: Any
    trunk: Any
    head_layer_sizes: Any
    activation: Any

    def build(
        self, input_shape: tuple[int, ...], layout: Layout, seeds: Seeds, n_members: int = 1
    ) -> Network:
        """Build the network with fresh weights.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample.
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
        if len(input_shape) != 1 and not self.trunk.takes_arrays:
            raise ValueError(
                f"The trunk {self.trunk!r} takes tables, X of shape (n_samples, n_features). "
                f"Found samples of shape {input_shape}. Use a trunk that takes arrays, such "
                "as ModuleTrunk."
            )
        body = self.sharing.build(
            self.trunk,
            input_shape=input_shape,
            task_names=layout.names,
            n_members=n_members,
            seeds=seeds,
        )
        heads = StackedHeads(
            layout, body.out_features, n_members, seeds, self.head_layer_sizes, self.activation
        )
        return Network(body, heads, follows_dtype=self.trunk.follows_dtype)
