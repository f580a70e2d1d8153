"""Weights that stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from skmtl._numbers import is_finite_number
from skmtl._strategy import did_you_mean
from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule


class Fixed(Weighting):
    """The weights that the user gives: ``L = sum_t a_t L_t``.

    Parameters
    ----------
    weights : mapping of str to float, default=None
        Weight of each task by name, at least 0; those that it leaves out weigh 1.  A task
        of weight 0 is predicted but not learned.  None: 1 for each task.

    References
    ----------
    R. Caruana: Multitask Learning, Machine Learning 28, 1997.

    Examples
    --------
    >>> from skmtl.weighting import Fixed
    >>> Fixed({"price": 2.0})
    Fixed(weights={'price': 2.0})
    """

    alias = "fixed"

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = weights

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"weights": {"a": 2.0}}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module with constant weights.

        Parameters
        ----------
        layout : Layout
            The tasks.
        n_members : int
            Number of networks.
        seeds : Seeds
            Ignored.

        Returns
        -------
        WeightingModule
            Combines losses with the same weights, whatever they are.

        Raises
        ------
        ValueError
            If a task is unknown, a weight negative or not finite, or their number wrong.
        """
        # In double precision: the objective that holds the module turns it into its own.
        weights = torch.tensor(self._listed(layout), dtype=torch.float64)
        return Constant(weights.expand(n_members, -1).clone())

    def _listed(self, layout: Any) -> list[float]:
        names = list(layout.names)
        if self.weights is not None and not isinstance(self.weights, Mapping):
            raise TypeError(
                "Parameter `weights` of Fixed must be a mapping from task names. Found "
                f"`weights = {self.weights!r}`."
            )
        given = self.weights or {}
        for name in given:
            if name not in names:
                theirs = [n for _, n in sorted(zip(layout.order, names, strict=True))]  # as in y
                raise ValueError(
                    f"Parameter `loss_weights` names an unknown task {name!r}. The tasks are "
                    f"{theirs}.{did_you_mean(name, names)}"
                )
        pairs = [(name, given.get(name, 1.0)) for name in names]
        for name, weight in pairs:
            if not is_finite_number(weight) or weight < 0:
                raise ValueError(
                    f"Parameter `loss_weights`: the weight of task {name!r} must be a finite "
                    f"number of at least 0. Found {weight!r}."
                )
        weights = [float(weight) for _, weight in pairs]
        if not any(weights):
            raise ValueError("Parameter `loss_weights` must give some task a weight above 0.")
        return weights


class Constant(WeightingModule):
    """Weights that stay as they are.

    Parameters
    ----------
    weights : Tensor of shape (member, task)
        The ``a_t``.
    """

    is_constant = True
    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        return (self.weights * losses).sum(1)

    def scales(self, losses: Tensor, present: Tensor) -> Tensor:
        return self.weights  # (member, task); no graph needed for a constant
