"""Alpha-fair shares of the progress."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import of_usual_size
from skmtl.weighting._gramian import GramianWeights
from skmtl.weighting._newton import solve_fair


class FairGrad(Weighting):
    r"""Alpha-fairness between tasks: ``G w = w^(-1/alpha)``.

    It maximises ``sum_t (g_t . d)^(1 - alpha) / (1 - alpha)`` over short steps: small `alpha` lets
    fast tasks lead, 1 is proportional fairness (Nash-MTL), large `alpha` lifts the slowest task.
    Solved by Newton's method on the convex problem whose optimum it is.

    Parameters
    ----------
    alpha : float, default=1.0
        Fairness, above 0.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: weights are scaled so that the gradients keep their lengths in the root mean
    square, which is the same direction, so that learning rate, weight decay and penalties
    mean what they mean with equal weights.

    Where gradients oppose each other there is no solution: then 1e-6 of its squared length is
    added to that of each gradient, which bounds the weights, and the step is small.

    References
    ----------
    H. Ban, K. Ji: Fair Resource Allocation in Multi-Task Learning, ICML 2024,
    arXiv:2402.15638, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import FairGrad
    >>> FairGrad(alpha=2.0)
    FairGrad(alpha=2.0)
    """

    alias = "fairgrad"
    needs_gradients = True

    def __init__(self, alpha: float = 1.0, wrt: str = "auto", update_every: int = 8) -> None:
        self.alpha = alpha
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"alpha": 2.0}, {"alpha": 0.5}]

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
        alpha = check_number(self.alpha, "alpha", above=True)
        solve = partial(fair_weights, alpha=alpha)
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def fair_weights(gramian: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Find the weights of the alpha-fair direction.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    alpha : float, default=1.0
        Fairness.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Above 0.
    """
    return of_usual_size(solve_fair(gramian, alpha), gramian)
