"""The weightings of several nets as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmtl.weighting._base import WeightingModule
from skmtl.weighting._fixed import Constant


class StackedWeighting(WeightingModule):
    """Weightings that read losses, each for members of its own.

    Parameters
    ----------
    parts : sequence of WeightingModule
        One after the other along the members.
    sizes : sequence of int
        Members of each.
    """

    def __init__(self, parts: Sequence[WeightingModule], sizes: Sequence[int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.sizes = list(sizes)

    @property
    def _listed(self) -> list[Any]:
        return list(self.parts)

    @property
    def needs_losses_after_step(self) -> bool:
        """Whether a part wants to see the losses after the step under way."""
        return any(part.needs_losses_after_step for part in self._listed)

    def _each(
        self, call: Callable[..., Any], losses: Tensor, present: Tensor, **chosen: bool
    ) -> list[Any]:
        present = present.expand_as(losses)  # (member, task)
        split = zip(losses.split(self.sizes), present.split(self.sizes), strict=True)
        return [call(part, *own) for part, own in zip(self._listed, split, strict=True)]

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Combine the losses of each member by its own weighting."""
        return torch.cat(self._each(lambda part, *own: part(*own), losses, present))

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights of each member by its own weighting."""
        return torch.cat(self._each(lambda part, *own: part.scales(*own), losses, present))

    def after_step(self, losses: Tensor, present: Tensor) -> None:
        """Show the losses to the parts that want to see them."""

        def show(part: Any, *own: Tensor) -> None:
            if part.needs_losses_after_step:
                part.after_step(*own)

        self._each(show, losses, present)

    def end_epoch(self, losses: Tensor, present: Tensor) -> None:
        """Show the losses of an epoch to each part."""
        self._each(lambda part, *own: part.end_epoch(*own), losses, present)


def stacked_weightings(parts: Sequence[WeightingModule], sizes: Sequence[int]) -> WeightingModule:
    """Make one weighting of those of several nets.

    Parameters
    ----------
    parts : sequence of WeightingModule
        One after the other along the members; not more than one that reads gradients.
    sizes : sequence of int
        Members of each.

    Returns
    -------
    WeightingModule
        For all members.
    """
    if len(parts) == 1:
        return parts[0]
    if all(part.is_constant for part in parts):
        constant: list[Any] = list(parts)
        return Constant(torch.cat([part.weights for part in constant]))
    return StackedWeighting(parts, sizes)
