"""A direction free of conflicts by the pseudo-inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from skmtl.layers import Seeds
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import cosines_of, equal_projections
from skmtl.weighting._gramian import GramianWeights


class ConFIG(Weighting):
    r"""Equal cosines with all gradients, as long as their projections add up to.

    The direction is ``U^+ 1`` with the unit gradients ``U``; its length is the sum of the
    gradients' projections on it.  Made for physics-informed networks, whose losses differ by
    orders of magnitude.

    Parameters
    ----------
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Where gradients depend on each other and no direction has equal cosines, the closest one by
    least squares takes its place; where all oppose each other, weights are 0.

    References
    ----------
    Q. Liu, M. Chu, N. Thuerey: ConFIG: Towards Conflict-free Training of Physics Informed
    Neural Networks, 2024, arXiv:2408.11104, equation 2.

    Examples
    --------
    >>> from skmtl.weighting import ConFIG
    >>> ConFIG()
    ConFIG()
    """

    alias = "config"
    needs_gradients = True

    def __init__(self, wrt: str = "auto", update_every: int = 8) -> None:
        self.wrt = wrt
        self.update_every = update_every

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module that finds the weights.

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
            Reads the Gramian of the tasks' gradients.
        """
        return GramianWeights(config_weights, layout, n_members, self.wrt, self.update_every)


def config_weights(gramian: np.ndarray) -> np.ndarray:
    """Find the weights of the direction without conflicts.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Some may be negative.
    """
    cosines, lengths = cosines_of(gramian)
    found = equal_projections(cosines)  # of the unit gradients
    projections = cosines @ found
    square = found @ projections
    # Zero if all gradients oppose each other: then there is no such direction.
    return found / lengths * (lengths @ projections / square) if square > 0 else 0 * found
