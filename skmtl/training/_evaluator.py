"""A copy of a network in float64, which computes what it predicts."""

from __future__ import annotations

import copy
from itertools import chain
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmtl.layers import encode_array

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
        self._held = self._now()
        self._memories = [_Memory(held) for held in self._held if isinstance(held, Tensor)]
        layers = network.relu_chain()
        self._network = copy.deepcopy(network).double().eval() if layers is None else None
        # If there is nothing but layers, they alone are copied: modules take as long again.
        encoding = None if layers is None else network.encoding
        self._encode = None if encoding is None else copy.deepcopy(encoding).double()
        self._bins = None if self._encode is None else self._encode.arrays()
        pairs = [(layer.weight, layer.bias) for layer in layers or ()]
        self._tensors = [(w.detach().double(), b.detach().double()) for w, b in pairs]
        self._arrays = [(weight.numpy(), bias.numpy()) for weight, bias in self._tensors]
        largest = max((weight[0].numel() for weight, _ in self._tensors), default=1)
        self._few_rows = SMALL_PRODUCT // max(largest, 1)

    def _now(self) -> list[Any]:
        return list(chain.from_iterable([holder.values() for holder in self._holders]))

    @property
    def is_current(self) -> bool:
        """Whether the network is as it was copied.

        By its numbers: torch counts no change that a fused optimiser, ``tensor.data`` or NumPy make.
        """
        now = self._now()
        if len(now) != len(self._held) or not all(map(is_, now, self._held)):
            return False
        return all(memory.is_unchanged for memory in self._memories)

    def __call__(self, x: Any) -> Tensor:
        """Compute outputs.

        Parameters
        ----------
        x : ndarray or Tensor of shape (sample, ...)
            Features.

        Returns
        -------
        Tensor of shape (member, output row, sample), float64
            Outputs.
        """
        if self._network is None and len(x) <= self._few_rows:
            # Without a call of torch's: a dozen of them take longer than the products.
            h = np.ascontiguousarray(x, np.float64)  # else its layout would tell in the last bit
            h = h if self._bins is None else encode_array(h, *self._bins)
            return torch.from_numpy(_through_few(self._arrays, h))
        with torch.inference_mode():
            x = torch.as_tensor(x, dtype=torch.float64, device="cpu").contiguous()
            if self._network is not None:
                z: Tensor = self._network(x)
                return z
            return _through(self._tensors, x if self._encode is None else self._encode(x))


#: Bytes up to which a copy of memory is compared sooner than numbers are.
SMALL_MEMORY = 1 << 15


class _Memory:
    """What a tensor held, to be compared: outside torch, which takes five to twenty times as long."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._address, self._shape, self._dtype = tensor.data_ptr(), tensor.shape, tensor.dtype
        plain = tensor.detach()
        # Of its memory, which is not given to another tensor as long as this array lives.
        self._view = (plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy()
        is_small = self._view.nbytes <= SMALL_MEMORY
        self._copy: Any = self._view.tobytes() if is_small else self._view.copy()

    @property
    def is_unchanged(self) -> bool:
        tensor = self._tensor
        if tensor.data_ptr() != self._address or tensor.shape != self._shape:
            return False
        if tensor.dtype != self._dtype:
            return False
        if isinstance(self._copy, bytes):
            return self._view.tobytes() == self._copy
        return bool((self._view == self._copy).all())


def _holders(network: Any) -> list[dict[Any, Any]]:
    """List the dictionaries that hold tensors, modules and hooks, for a walk takes a step's time."""
    found: list[dict[Any, Any]] = []
    for module in network.modules():
        own = (module._parameters, module._buffers, module._modules)
        found += [held for held in own if held]
        found += [module._forward_hooks, module._forward_pre_hooks]
    return found


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
