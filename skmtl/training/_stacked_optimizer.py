"""AdamW for several nets in one stack, each with its own options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skmtl.training._optimizer import FusedAdamW, fused_adamw

#: An option set, and where it holds: parameter, first and last entry of the leading axis.
_Run = tuple[dict[str, Any], list[tuple[int, int, int]]]


class StackedAdamW:
    """Steps of :class:`FusedAdamW` for the nets of a stack.

    Nets with equal options that stand side by side are one call of the kernel.

    Parameters
    ----------
    params : sequence of Tensor
        Of the stack; members, and copies within them, along the first axis.
    optimizers : sequence of FusedAdamW
        Of the nets, before their first step, with parameters in the order of the stack's.
    of_nets : sequence of sequence of Tensor
        The parameters of each net, in the order of `params`.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        optimizers: Sequence[FusedAdamW],
        of_nets: Sequence[Sequence[Tensor]],
    ) -> None:
        self.params = list(params)
        self.means = [torch.zeros_like(p) for p in params]
        self.squares = [torch.zeros_like(p) for p in params]
        self.steps = [torch.zeros((), device=p.device) for p in params]
        self._runs = _runs(optimizers, of_nets)
        self._views: list[tuple[dict[str, Any], list[Any]]] = []
        self._at = -1

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.params:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Take one step."""
        moved = [p.grad is not None for p in self.params]
        torch._foreach_add_(
            [s for s, is_moved in zip(self.steps, moved, strict=True) if is_moved], 1.0
        )
        if self._at != self.params[0].data_ptr():  # averages change places with weights
            self._views = [(options, self._sliced(places)) for options, places in self._runs]
            self._at = self.params[0].data_ptr()
        for options, places in self._views:
            here = [place for place in places if moved[place[0]]]
            if not here:
                continue
            grads: Any = [self.params[i].grad for i, *_ in here]
            fused_adamw(
                [p for _, _, _, p, _, _ in here],
                [g[a:b] for g, (_, a, b, *_) in zip(grads, here, strict=True)],
                [m for *_, m, _ in here],
                [v for *_, v in here],
                [self.steps[i] for i, *_ in here],
                **options,
            )

    def keep(self, params: Sequence[Tensor], rows: Sequence[Tensor]) -> None:
        """Go on with some of the nets.

        Parameters
        ----------
        params : sequence of Tensor
            Of the smaller stack.
        rows : sequence of Tensor of shape (n,), int64
            For each parameter, the entries of the leading axis that it has kept.
        """
        self._runs = [
            (options, [place for old in places for place in _kept(old, rows[old[0]])])
            for options, places in self._runs
        ]
        self.params = list(params)
        self.means = [mean[kept] for mean, kept in zip(self.means, rows, strict=True)]
        self.squares = [square[kept] for square, kept in zip(self.squares, rows, strict=True)]
        self._at = -1

    def _sliced(self, places: list[tuple[int, int, int]]) -> list[Any]:
        kinds = (self.params, self.means, self.squares)
        return [(i, a, b, *(kind[i].data[a:b] for kind in kinds)) for i, a, b in places]


def _kept(place: tuple[int, int, int], rows: Tensor) -> list[tuple[int, int, int]]:
    """Return where the entries of a place are, once some are kept; no place if none is."""
    i, start, stop = place
    first, last = (int((rows < end).sum()) for end in (start, stop))  # rows rise
    return [(i, first, last)] if last > first else []


def _runs(optimizers: Sequence[FusedAdamW], of_nets: Sequence[Sequence[Tensor]]) -> list[_Run]:
    """Collect where options hold, nets side by side as one place."""
    found: dict[str, _Run] = {}
    n_params = len(of_nets[0])
    starts = [0] * n_params
    for optimizer, params in zip(optimizers, of_nets, strict=True):
        options = {
            id(p): {k: v for k, v in group.items() if k != "params"}
            for group in optimizer.param_groups
            for p in group["params"]
        }
        for i, parameter in enumerate(params):
            own = options[id(parameter)]
            _, places = found.setdefault(repr(sorted(own.items())), (own, []))
            start, stop = starts[i], starts[i] + len(parameter)
            before = next((k for k, p in enumerate(places) if p[0] == i and p[2] == start), None)
            if before is None:
                places.append((i, start, stop))
            else:
                places[before] = (i, places[before][1], stop)
            starts[i] = stop
    return list(found.values())
