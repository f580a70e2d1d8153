"""What a penalty is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from skmtl._strategy import Strategy, did_you_mean, resolve

#: Parts of the network that a penalty may name.
PARTS = ("all", "input", "trunk", "sharing", "heads")


class Penalty(Strategy):
    """A term of ``Omega(theta)`` on the weights of a named part of the network.

    Biases are never penalised.  (Decoupled weight decay is not a penalty but part of the
    optimiser: ``weight_decay``.)

    Parameters
    ----------
    strength : float, default=1e-4
        Factor, at least 0.
    part : {"all", "input", "trunk", "sharing", "heads"}, default="all"
        Which weights: all of them, the trunk's first layer, the trunk, what the sharing
        scheme adds to it, or the heads.
    """

    parts: ClassVar[tuple[str, ...]] = PARTS

    def __init__(self, strength: float = 1e-4, part: str = "all") -> None:
        self.strength = strength
        self.part = part

    @abstractmethod
    def value(self, weights: Sequence[Tensor]) -> Tensor:
        """Compute the penalty without its factor.

        Parameters
        ----------
        weights : sequence of Tensor
            The weights of the part.

        Returns
        -------
        Tensor of shape ()
            Differentiable.
        """

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        ValueError
            If the strength is negative or not finite, or the part unknown.
        """
        number = isinstance(self.strength, Real) and not isinstance(self.strength, bool)
        if not number or not np.isfinite(self.strength) or self.strength < 0:
            raise ValueError(
                "Parameter `strength` of a penalty must be a finite number of at least 0. "
                f"Found `strength = {self.strength!r}`."
            )
        if self.part not in self.parts:
            raise ValueError(
                f"Parameter `part` of a penalty must be one of {list(self.parts)}. "
                f"Found `part = {self.part!r}`.{did_you_mean(self.part, self.parts)}"
            )


def resolve_penalties(value: Any) -> list[Penalty]:
    """Turn what the user wrote for ``penalty`` into a list of penalties.

    Parameters
    ----------
    value : None, str, Penalty, or list of them
        The terms of Omega.

    Returns
    -------
    list of Penalty
        Checked; empty for None.
    """
    listed = [] if value is None else value if isinstance(value, list | tuple) else [value]
    penalties = [resolve(item, Penalty, "penalty") for item in listed]
    for penalty in penalties:
        penalty.check()
    return penalties
