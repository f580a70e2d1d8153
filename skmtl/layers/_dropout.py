"""Dropout from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16  # a mask needs 16 random bits per entry


class Dropout(nn.Module):
    """Sets entries to zero with probability `p` in training, and scales the others up.

    Unlike ``torch.nn.Dropout`` it draws from its own generator, so that fits in several
    threads do not disturb one another, and from whole 64-bit words, which takes a sixth of
    the time on a CPU.  `p` is rounded to a multiple of 2**-16.

    Parameters
    ----------
    p : float
        Probability, in [0, 1).
    seed : int
        Seed of the generator.

    Shape
    -----
    - Input: any
    - Output: as the input

    References
    ----------
    N. Srivastava et al.: Dropout: A Simple Way to Prevent Neural Networks from Overfitting,
    JMLR 15, 2014.
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p = p
        self.seed = seed
        self._generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries in training mode; return `x` otherwise."""
        dropped = min(round(self.p * _LEVELS), _LEVELS - 1)  # some entry has to stay
        if not self.training or dropped == 0:
            return x
        if self._generator is None or self._generator.device != x.device:
            self._generator = torch.Generator(x.device).manual_seed(self.seed)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self._generator)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        keep = bits >= dropped - _LEVELS // 2  # int16 runs from -2**15
        return x * (keep.to(x.dtype) * (_LEVELS / (_LEVELS - dropped)))

    def extra_repr(self) -> str:
        """Return what ``repr`` shows."""
        return f"p={self.p}"

    def __getstate__(self) -> dict[str, object]:
        """Return the state with the generator as plain tensors, which can be copied."""
        state = self.__dict__.copy()
        generator = state.pop("_generator")
        state["_random"] = None if generator is None else generator.get_state().clone()
        state["_device"] = None if generator is None else generator.device
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore the generator where its device exists; elsewhere it starts from the seed."""
        random, device = state.pop("_random"), state.pop("_device")
        super().__setstate__(state)
        self._generator = None
        if (
            isinstance(device, torch.device)
            and isinstance(random, Tensor)
            and (device.type != "cuda" or torch.cuda.is_available())
        ):
            self._generator = torch.Generator(device)
            self._generator.set_state(random)


class StackedDropout(nn.Module):
    """The dropout of several nets, each with its own probability and generator.

    Parameters
    ----------
    parts : sequence of Dropout
        By net.
    sizes : sequence of int
        Members of each.

    Shape
    -----
    - Input: (member and copy, ...), the members of a net one after the other
    - Output: as the input
    """

    def __init__(self, parts: Sequence[Dropout], sizes: Sequence[int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.sizes = list(sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries in training mode; return `x` otherwise."""
        if not self.training:
            return x
        copies = len(x) // sum(self.sizes)
        split = x.split([copies * size for size in self.sizes])
        return torch.cat([part(own) for part, own in zip(self.parts, split, strict=True)])
