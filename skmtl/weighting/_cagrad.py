"""The mean gradient, bent towards the worst task."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._gramian import GramianWeights

#: Of the interior point: steps, residual of the conditions, and a square to divide by.
MOST_STEPS = 60
TOLERANCE = 1e-11
TINY = 1e-24


class CAGrad(Weighting):
    r"""Near the mean gradient, the step that helps the worst-off task most.

    It maximises ``min_t g_t . d`` over ``||d - g_0|| <= c ||g_0||`` with the mean gradient ``g_0``:
    ``d = g_0 + c ||g_0|| / ||g_w|| g_w``, where ``g_w = sum_t w_t g_t`` minimises
    ``g_w . g_0 + c ||g_0|| ||g_w||`` over the simplex.  ``c = 0`` is equal weights; for ``c < 1`` it
    converges to an optimum of the mean loss.

    Parameters
    ----------
    c : float, default=0.4
        Radius over the length of the mean gradient, at least 0.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        By what gradients are taken: the representation that all heads read, or all parameters
        of trunk and sharing.  ``"auto"``: the former where there is one.
    update_every : int, default=4
        Steps for which weights are kept.

    Notes
    -----
    Departure: weights are multiplied by the number of tasks in the batch, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.


    References
    ----------
    B. Liu et al.: Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021,
    arXiv:2110.14048, equation 4 and algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import CAGrad
    >>> CAGrad()
    CAGrad()
    """

    alias = "cagrad"
    needs_gradients = True

    def __init__(self, c: float = 0.4, wrt: str = "auto", update_every: int = 4) -> None:
        self.c = c
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"c": 0.0}, {"c": 2.0}]

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
        solve = partial(cagrad_weights, c=check_number(self.c, "c"))
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def cagrad_weights(gramian: np.ndarray, c: float = 0.4) -> np.ndarray:
    """Find the weights of the step.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.
    c : float, default=0.4
        Radius.

    Returns
    -------
    ndarray of shape (n_tasks,)
        About 1.
    """
    n = len(gramian)
    mean = gramian.mean()  # squared length of the mean gradient
    if mean <= 1e-14 * gramian.diagonal().max():
        return np.ones(n)  # gradients that cancel: the step is 0 in any case
    scaled = gramian / mean  # else solvers stop early where lengths differ
    found = worst_mixture(scaled, c)
    length = np.sqrt(max(found @ scaled @ found, 0.0))
    return np.ones(n) + (c * n * found / length if length > 1e-12 else 0.0)


def worst_mixture(gramian: np.ndarray, c: float) -> np.ndarray:
    """Minimise ``g_w . g_0 + c ||g_w||`` over the simplex, by a primal-dual interior point.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients, for a mean gradient of length 1.
    c : float
        Radius.

    Returns
    -------
    ndarray of shape (n_tasks,)
        At least 0, with a sum of 1.
    """
    n = len(gramian)
    by_mean = gramian.mean(axis=1)
    w, s, y = np.full(n, 1.0 / n), np.ones(n), 0.0
    for _ in range(MOST_STEPS):
        by_w = gramian @ w
        length = np.sqrt(max(w @ by_w, TINY))
        slope = by_mean + c * by_w / length
        gap = w @ s / n
        residual = np.abs(slope - s - y).max()
        if max(gap, residual, abs(w.sum() - 1)) < TOLERANCE:
            break
        # Newton's step for slope = s + y, sum w = 1, w s = a tenth of the gap.
        bend = c * (gramian - np.outer(by_w, by_w) / length**2) / length
        bend.flat[:: n + 1] += s / w
        right = np.stack([0.1 * gap / w + y - slope, np.ones(n)], axis=1)
        step, by_y = np.linalg.solve(bend, right).T
        dy = (1 - w.sum() - step.sum()) / by_y.sum()
        dw = step + dy * by_y
        ds = (0.1 * gap - s * dw) / w - s
        w, s, y = w + _reach(w, dw) * dw, s + _reach(s, ds) * ds, y + _reach(s, ds) * dy
    return w / w.sum()


def _reach(values: np.ndarray, steps: np.ndarray) -> float:
    """Return the share of a step that keeps positive values positive."""
    falling = steps < 0
    return min(1.0, 0.99 * float((values[falling] / -steps[falling]).min(initial=np.inf)))
