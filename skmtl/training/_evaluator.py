"""A copy of a network in float64, which computes what it predicts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Products of a matrix and a few rows, in multiplications, that NumPy computes: its calls take a
#: third of the time of torch's, and up to here OpenBLAS keeps to one thread, whatever it is set to.
SMALL_PRODUCT = 1 << 18


class Evaluator:
    """A copy of a network in float64, which computes its outputs.

    Threads may share it: nothing in it changes.

    Parameters
    ----------
    network : Network
        To be copied.
    """

    def __init__(self, network: Any) -> None:
        self._holders = _holders(network)
        # In the type that they have, to be compared.
        self._held = [v.detach().clone() if isinstance(v, Tensor) else v for v in self._now()]
        layers = network.relu_chain()
        self._network = copy.deepcopy(network).double().eval() if layers is None else None
        # If there is nothing but layers, they alone are copied: modules take as long again.
        encoding = network.encoding
        self._encode = encoding and copy.deepcopy(encoding).double()
        pairs = [(layer.weight, layer.bias) for layer in layers or ()]
        self._tensors = [(w.detach().double(), b.detach().double()) for w, b in pairs]
        self._arrays = [(weight.numpy(), bias.numpy()) for weight, bias in self._tensors]
        largest = max((weight[0].numel() for weight, _ in self._tensors), default=1)
        self._few_rows = SMALL_PRODUCT // max(largest, 1)

    def _now(self) -> list[Any]:
        return [value for holder in self._holders for value in holder.values()]

    @property
    def is_current(self) -> bool:
        """Whether the network is as it was copied.

        By its numbers: torch counts no change that a fused optimiser, ``tensor.data`` or NumPy make.
        """
        now = self._now()
        return len(now) == len(self._held) and all(map(_is_same, now, self._held))

    def __call__(self, x: Tensor) -> Tensor:
        """Compute outputs.

        Parameters
        ----------
        x : Tensor of shape (sample, ...), float64
            Features.

        Returns
        -------
        Tensor of shape (member, output row, sample)
            Outputs.
        """
        if self._network is not None:
            z: Tensor = self._network(x)
            return z
        h = x if self._encode is None else self._encode(x)
        if len(h) <= self._few_rows:
            return torch.from_numpy(_through_few(self._arrays, h.numpy()))
        return _through(self._tensors, h)


def _holders(network: Any) -> list[dict[Any, Any]]:
    """List the dictionaries that hold tensors, modules and hooks, for a walk takes a step's time."""
    found: list[dict[Any, Any]] = []
    for module in network.modules():
        own = (module._parameters, module._buffers, module._modules)
        found += [held for held in own if held]
        found += [module._forward_hooks, module._forward_pre_hooks]
    return found


def _is_same(now: Any, before: Any) -> bool:
    if not isinstance(now, Tensor):
        return now is before
    if not isinstance(before, Tensor) or now.dtype != before.dtype:
        return False
    return torch.equal(now, before)


def _through(layers: list[tuple[Tensor, Tensor]], h: Tensor) -> Tensor:
    """Compute the outputs of linear layers with ReLUs between, (member, output row, sample)."""
    h = h.expand(len(layers[0][0]), -1, -1)  # (member, sample, feature)
    for position, (weight, bias) in enumerate(layers):
        h = torch.baddbmm(bias, h.relu_() if position else h, weight)
    return h.transpose(1, 2)


def _through_few(layers: list[tuple[np.ndarray, np.ndarray]], h: np.ndarray) -> np.ndarray:
    """Compute the same of a few rows."""
    for position, (weight, bias) in enumerate(layers):
        h = (np.maximum(h, 0.0, out=h) if position else h) @ weight
        h += bias
    return h.transpose(0, 2, 1)
