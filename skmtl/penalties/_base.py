"""What a penalty is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from skmtl._strategy import Strategy, resolve
from skmtl.layers import check_choice, check_number

#: Parts of the network that a penalty may name.
PARTS = ("all", "input", "trunk", "sharing", "heads")


class Penalty(Strategy):
    """A term of ``Omega(theta)``.

    Most read the weights of a named part of the network; biases are never penalised.
    (Decoupled weight decay is not a penalty but part of the optimiser: ``weight_decay``.)

    Parameters
    ----------
    strength : float, default=1e-4
        Factor, at least 0.
    part : {"all", "input", "trunk", "sharing", "heads"}, default="all"
        Which weights: all of them, the first layer, the trunk, what the sharing scheme adds
        to it, or the heads.

    Attributes
    ----------
    parts : tuple of str
        Parts that make sense.
    relates_tasks : bool
        Whether the term is about pairs of tasks, so that a task alone has none.
    """

    parts: ClassVar[tuple[str, ...]] = PARTS
    relates_tasks: ClassVar[bool] = False

    def __init__(self, strength: float = 1e-4, part: str = "all") -> None:
        self.strength = strength
        self.part = part

    @abstractmethod
    def build(self, layout: Any, n_members: int) -> PenaltyModule:
        """Build the term.

        Parameters
        ----------
        layout : Layout
            The tasks and their output rows.
        n_members : int
            Number of networks.

        Returns
        -------
        PenaltyModule
            Weights, or losses, to a number.
        """

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        ValueError
            If the strength is negative or not finite, or the part unknown.
        """
        check_number(self.strength, "strength")
        check_choice(self.part, "part", self.parts)


class PenaltyModule(nn.Module):
    """One term of Omega, without its factor.

    Parameters
    ----------
    penalty : Penalty
        Gives strength and part.
    n_members : int, default=1
        Number of networks; their penalties add up.

    Attributes
    ----------
    reads_losses : bool
        Whether the term is one of losses rather than of weights.
    """

    reads_losses: ClassVar[bool] = False

    def __init__(self, penalty: Penalty, n_members: int = 1) -> None:
        super().__init__()
        self.strength = float(penalty.strength)
        self.part = penalty.part
        self.n_members = n_members

    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        """Compute the term from the weights of its part.

        Parameters
        ----------
        weights : sequence of Tensor
            Each of shape (member and copy, ...), or a single copy of a user's module.

        Returns
        -------
        Tensor of shape ()
            Differentiable.
        """
        raise NotImplementedError

    def of_losses(self, losses: Tensor, present: Tensor) -> Tensor:
        """Compute the term from the losses of the tasks.

        Parameters
        ----------
        losses : Tensor of shape (member, task)
            Losses; 0 for a task that is not present.
        present : Tensor of shape (task,), bool
            Which tasks have a label in the batch.

        Returns
        -------
        Tensor of shape ()
            Differentiable.
        """
        raise NotImplementedError


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
