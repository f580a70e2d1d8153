"""The Nash bargaining solution between tasks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import of_usual_size
from skmtl.weighting._gramian import GramianWeights
from skmtl.weighting._newton import solve_fair


class NashMTL(Weighting):
    r"""The step on which bargaining tasks would agree: ``G w = 1 / w``.

    It maximises ``sum_t log(g_t . d)`` over steps of a given length, whatever the scales of the
    losses.  The solution minimises the convex ``w^T G w / 2 - sum_t log(w_t)``, found to
    rounding by a few steps of Newton's method.

    Parameters
    ----------
    max_norm : float, default=None
        Largest length of the step, above 0.  None: no bound.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    Departure: the weights are scaled so that the gradients keep their lengths in the root mean
    square, and nothing is bounded by default, so that learning rate, weight decay and
    penalties mean what they mean with equal weights.  The paper bounds the length by 1.

    Where gradients oppose each other the bargain has no solution: then 1e-6 of its squared
    length is added to that of each gradient, which bounds the weights, and the step is small.

    References
    ----------
    A. Navon, A. Shamsian, I. Achituve, H. Maron, K. Kawaguchi, G. Chechik, E. Fetaya:
    Multi-Task Learning as a Bargaining Game, ICML 2022, arXiv:2202.01017, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import NashMTL
    >>> NashMTL(max_norm=1.0)
    NashMTL(max_norm=1.0)
    """

    alias = "nash_mtl"
    needs_gradients = True

    def __init__(
        self, max_norm: float | None = None, wrt: str = "auto", update_every: int = 8
    ) -> None:
        self.max_norm = max_norm
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"max_norm": 0.5}]

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
        limit = self.max_norm
        if limit is not None:
            limit = check_number(limit, "max_norm", above=True)
        solve = partial(nash_weights, max_norm=limit)
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def nash_weights(gramian: np.ndarray, max_norm: float | None = None) -> np.ndarray:
    """Find the weights of the bargaining solution.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.
    max_norm : float, default=None
        Largest length of the step.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Above 0.
    """
    found = of_usual_size(solve_fair(gramian), gramian)
    if max_norm is None:
        return found
    length = np.sqrt((found @ gramian @ found).clip(0.0))
    return found * (max_norm / max(length, max_norm))
