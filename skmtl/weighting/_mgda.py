"""The shortest vector between the tasks' gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_choice
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import cosines_of
from skmtl.weighting._gramian import GramianWeights, factor_of
from skmtl.weighting._min_norm import shortest_in_hull

_NORMALIZATIONS = ("none", "l2", "loss", "loss+")


class MGDA(Weighting):
    r"""The min-norm point of the gradients' convex hull: a step that harms no task.

    ``w = argmin_{w in simplex} ||sum_t w_t g_t||^2``, found exactly by non-negative least
    squares.  The direction has the same product with the gradient of every task that has a
    weight, so that tasks with small gradients lead.

    Parameters
    ----------
    normalize : {"none", "l2", "loss", "loss+"}, default="none"
        What gradients are divided by before: nothing, their lengths, the losses, or both.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: weights sum to the number of tasks in the batch, not to 1, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.

    References
    ----------
    J.-A. Desideri: Multiple-Gradient Descent Algorithm for Multiobjective Optimization,
    Comptes Rendus Mathematique 350, 2012.

    O. Sener, V. Koltun: Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018,
    arXiv:1810.04650, equation 3 (the minimum), section 3.3 (by the representation).

    Examples
    --------
    >>> from skmtl.weighting import MGDA
    >>> MGDA(normalize="l2")
    MGDA(normalize='l2')
    """

    alias = "mgda"
    needs_gradients = True

    def __init__(self, normalize: str = "none", wrt: str = "auto", update_every: int = 8) -> None:
        self.normalize = normalize
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"normalize": "l2"}, {"normalize": "loss+", "update_every": 3}]

    def build(self, layout: Any, n_members: int, seeds: Seeds) -> WeightingModule:
        """Build a module that solves for the weights.

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
        normalize = check_choice(self.normalize, "normalize", _NORMALIZATIONS)
        solve = partial(mgda_weights, normalize=normalize)
        return GramianWeights(
            solve, layout, n_members, self.wrt, self.update_every, reads_losses=True
        )


def mgda_weights(gramian: np.ndarray, losses: np.ndarray, normalize: str = "none") -> np.ndarray:
    """Find the weights of the min-norm point.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    losses : ndarray of shape (n_tasks,)
        Losses.
    normalize : str, default="none"
        What gradients are divided by.

    Returns
    -------
    ndarray of shape (n_tasks,)
        At least 0, with the number of tasks as their sum.
    """
    cosines, lengths = cosines_of(gramian)
    norms = np.ones(len(losses))
    if normalize in {"l2", "loss+"}:
        norms = lengths
    if normalize in {"loss", "loss+"}:
        norms = norms * np.where(losses > 0, losses, 1.0)
    return len(losses) * shortest_in_hull(factor_of(cosines) * (lengths / norms))
