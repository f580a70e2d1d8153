"""The network: sharing scheme and heads."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmtl.heads import StackedHeads
from skmtl.layers import COPY_OF_MODULE, StackedLinear, is_weight
from skmtl.training._batches import BatchTargets
from skmtl.training._evaluator import Evaluator

#: Rows per batch of validation and prediction: one product fits a core's cache.
EVALUATION_ROWS = 4096

#: Entries between two blocks that they may have together, 16 MB in float64: more is no faster.
EVALUATION_ENTRIES = 1 << 21


def as_type(part: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a product made in a type; torch's own call takes a microsecond to find that it is.

    Parameters
    ----------
    part : Tensor
        In that type, or a narrower one.
    dtype : torch.dtype
        The type.

    Returns
    -------
    Tensor
        The same where that is its type.
    """
    return part if part.dtype == dtype else part.to(dtype)


class Network(nn.Module):
    r"""``head_t(sharing_t(trunk(x_i)))`` for all tasks and members at once.

    Parameters
    ----------
    body : Body
        Built by a sharing scheme; holds its trunks in ``body.trunk``.
    heads : StackedHeads
        The heads of all tasks, and submodels.
    n_submodels : int, default=1
        Models within the trunk; each has heads of its own, and stands as a member.
    row_size : int, default=1
        Entries of the largest tensor between two blocks, for one sample.
    n_input_axes : int, default=1
        Axes of one sample.
    encoding : PiecewiseLinearEncoding or None, default=None
        What the features go through before all else, once for all members and tasks.
    follows_dtype : bool, default=True
        Whether the body computes in the type of its weights, whatever that is.

    Attributes
    ----------
    mixed_precision : bool
        Whether products are computed in bfloat16 while it trains.

    Shape
    -----
    - Input: (sample, \*shape of one sample), read by all members, or (member, sample, \*shape of
      one sample), and in training the targets of the batch
    - Output: (member, output row, sample); the submodels of a member one after the other
    """

    mixed_precision: bool = False

    def __init__(
        self,
        body: Any,
        heads: StackedHeads,
        *,
        n_submodels: int = 1,
        row_size: int = 1,
        n_input_axes: int = 1,
        encoding: nn.Module | None = None,
        follows_dtype: bool = True,
    ) -> None:
        super().__init__()
        self.body = body
        self.heads = heads
        self.n_submodels = n_submodels
        self.row_size = row_size
        self.n_input_axes = n_input_axes
        self.encoding = encoding
        self.follows_dtype = follows_dtype
        self.batches_gradients = True  # of several tasks at once, until a module refuses
        self._kept: Evaluator | None = None

    def forward(self, x: Tensor, targets: BatchTargets | None = None) -> Tensor:
        """Compute the output rows of all tasks."""
        with self.products():
            if self.n_submodels == 1:
                z = self.body.outputs(self.encode(x), self.heads)
            else:
                z = self.heads(self.represent(x))
        return self.body.finish(as_type(z, self.heads.output.weight.dtype), targets)

    def products(self) -> AbstractContextManager[Any]:
        """Return the context of the products: torch's autocast, where they are to be narrower.

        Returns
        -------
        context manager
            To be entered once at a time.
        """
        if not (self.mixed_precision and self.training):
            return nullcontext()
        device = self.heads.output.weight.device.type
        # Without its cache of narrow weights: within a block of the user's, that would outlive the step.
        return torch.autocast(device, torch.bfloat16, cache_enabled=False)

    def encode(self, x: Tensor) -> Tensor:
        """Encode features as the body reads them.

        Parameters
        ----------
        x : Tensor of shape (sample, ...) or (member, sample, ...)
            Features.

        Returns
        -------
        Tensor of the same leading axes
            What the trunks read.
        """
        return x if self.encoding is None else self.encoding(x)

    def represent(self, x: Tensor) -> Tensor:
        """Compute what the heads read.

        Parameters
        ----------
        x : Tensor of shape (sample, ...) or (member, sample, ...)
            Features.

        Returns
        -------
        Tensor of shape (member and submodel, task or 1, sample, feature)
            Representations.
        """
        k, x = self.n_submodels, self.encode(x)
        if k > 1:
            # The submodels read the batch one after the other, along the axis of the samples.
            lead = [1] * (x.dim() - 1 - self.n_input_axes)
            x = x.repeat(*lead, k, *[1] * self.n_input_axes)
        with self.products():
            h = self.body(x)  # (member, task or 1, submodel*sample, feature)
        h = as_type(h, self.heads.output.weight.dtype)
        return h if k == 1 else h.unflatten(2, (k, -1)).transpose(1, 2).flatten(0, 1)

    @property
    def n_members(self) -> int:
        """Networks side by side."""
        return len(self.heads.output.weight) // self.n_submodels

    @property
    def evaluation_rows(self) -> int:
        """Rows to be computed at once: as many as fit a core's cache, or some memory."""
        return max(1, min(EVALUATION_ROWS, EVALUATION_ENTRIES // self.row_size))

    def evaluate(self, chunks: Iterable[Any], n_rows: int) -> Tensor:
        """Compute the outputs of many rows.

        On a CPU in float64, whatever the network was trained in: a product in float32 rounds
        differently for one row and for a thousand, and a prediction shall not depend on the
        rows beside it.

        Parameters
        ----------
        chunks : iterable of array-like of shape (n, ...)
            Features.
        n_rows : int
            How many rows there are in all.

        Returns
        -------
        Tensor of shape (member, output row, sample), float64
            Outputs, on the CPU.

        Raises
        ------
        ValueError
            If there are no rows.
        """
        evaluate = self._evaluator() or self._in_evaluation_mode()._as_it_is
        # Of one piece: what stays from each chunk would keep its memory from being used again.
        outputs: Tensor | None = None
        start = 0
        for chunk in chunks:
            z = evaluate(chunk)
            n = z.shape[-1]
            if n == n_rows:
                return z.to("cpu", torch.float64)
            if outputs is None:
                outputs = torch.empty(*z.shape[:2], n_rows, dtype=torch.float64, device="cpu")
            outputs[..., start : start + n] = z
            start += n
        if outputs is None:
            raise ValueError("There are no rows to compute outputs of.")
        return outputs

    def _in_evaluation_mode(self) -> Network:
        return copy.deepcopy(self).eval() if self.training else self

    @torch.inference_mode()
    def _as_it_is(self, chunk: Any) -> Tensor:
        """Compute outputs in the network's own type, on its own device."""
        like = self.heads.output.weight
        z: Tensor = self(torch.as_tensor(chunk, device=like.device, dtype=like.dtype))
        return z

    def _evaluator(self) -> Evaluator | None:
        """Return a copy in float64, which threads may share; None where the network will do."""
        like = self.heads.output.weight
        if like.dtype == torch.float64 or like.device.type != "cpu" or not self.follows_dtype:
            return None
        kept = self._kept  # read once: another thread may replace it
        if kept is None or not kept.is_current:
            kept = self._kept = Evaluator(self)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the copy for evaluation."""
        return {**self.__dict__, "_kept": None}

    def relu_chain(self) -> list[StackedLinear] | None:
        """List the layers, if the network is linear layers with ReLUs between and no more.

        Returns
        -------
        list of StackedLinear or None
            From the features to the output rows; None for any other network, and where
            hooks listen to it.
        """
        hidden = self.hidden_chain() if self.body.has_one_representation else None
        return None if hidden is None else [*hidden, self.heads.output]

    def hidden_chain(self) -> list[StackedLinear] | None:
        """List the layers before the heads, if a ReLU follows each, and heads are one layer.

        Returns
        -------
        list of StackedLinear or None
            Of one trunk for all tasks, or of a trunk for each; None for any other network, and
            where hooks listen to it.
        """
        return None if self.heads.hidden or _has_hooks(self) else self.body.relu_chain()

    def owners(self) -> list[tuple[int | None, Any]] | None:
        """Tell which task each weight belongs to, if tasks share none.

        Returns
        -------
        list of (axis, owner) or None
            For each tensor of ``state_dict()``, in order: the axis along which tasks own
            its entries, and the position of the task of each; or None and the position of
            the one task that owns it all.  None if the tasks share, or it is not known.
        """
        if not self.body.is_separate:
            return None
        layout = self.heads.layout
        owners: list[tuple[int | None, Any]] = []
        for name, tensor in self.state_dict().items():
            copy_of_module = COPY_OF_MODULE.search(name)
            if name.startswith("heads.output."):
                owners.append((-1, layout.task_of_row))
            elif copy_of_module:
                owners.append((None, int(copy_of_module[1]) % layout.n_tasks))
            else:  # copies are the first axis, and run over members, then tasks
                owners.append((0, np.arange(len(tensor)) % layout.n_tasks))
        return owners

    @property
    def reads_by_task(self) -> bool:
        """Whether each task may read rows of its own: it shares nothing, and rows stand alone.

        Modules of the user's, of which no more is known than of their type, may look at the
        rows of a batch together, as batch norms do.
        """
        return self.body.is_separate and self.follows_dtype

    @property
    def mixing(self) -> tuple[str, ...]:
        """Names of the parameters that mix rather than weigh."""
        return tuple(f"body.{name}" for name in self.body.mixing_names)

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
        named = [(n, p) for n, p in self.named_parameters() if is_weight(n)]
        trunk = [(n, p) for n, p in named if n.startswith("body.trunk.")]
        heads: list[Tensor] = [p for n, p in named if n.startswith("heads.")]
        parts: dict[str, list[Tensor]] = {
            "all": [p for n, p in named if n not in self.mixing],
            "input": _first_layers(trunk) or heads[:1],
            "trunk": [p for _, p in trunk],
            "sharing": [
                p for n, p in named if n.startswith("body.") and not n.startswith("body.trunk.")
            ],
            "heads": heads,
        }
        return parts[part]


def _has_hooks(network: Network) -> bool:
    """Tell whether somebody listens to a module or a parameter."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    listeners = [getattr(module, kind) for module in network.modules() for kind in kinds]
    return any(listeners) or any(p._backward_hooks for p in network.parameters())


def _first_layers(trunk: Sequence[tuple[str, Tensor]]) -> list[Tensor]:
    """List the weights that read the features: of each stack, and each copy of a user's module."""
    level = trunk[0][0].split(".")[2] if trunk else ""
    first = [(name, p) for name, p in trunk if name.split(".")[2] == level]
    embeddings = [
        p for name, p in first if ".embedding." in name and not COPY_OF_MODULE.search(name)
    ]
    found: dict[Any, Tensor] = {}
    for name, parameter in first:
        copies = COPY_OF_MODULE.search(name)
        stack = name.partition(".blocks.")[0] if ".blocks." in name else ""
        found.setdefault((stack, copies and copies[1]), parameter)
    return embeddings or list(found.values())
