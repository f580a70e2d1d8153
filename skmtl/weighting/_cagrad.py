"""The mean gradient, bent towards the worst task."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from skmtl.layers import Seeds, check_choice, check_number
from skmtl.weighting._base import Weighting, WeightingModule
from skmtl.weighting._cosines import NOISE, cosines_of
from skmtl.weighting._dual_cone import project_on_dual_cone
from skmtl.weighting._gramian import GramianWeights, factor_of
from skmtl.weighting._min_norm import shortest_in_hull

_RESCALES = ("none", "linear", "square")
#: Of the search for the shift: steps, of which four are usual, and relative error.
MAX_STEPS = 100
TOLERANCE = 1e-13


class CAGrad(Weighting):
    r"""Near the mean gradient, the step that helps the worst-off task most.

    It maximises ``min_t g_t . d`` over ``||d - g_0|| <= c ||g_0||`` with the mean gradient
    ``g_0``: ``d = g_0 + c ||g_0|| / ||g_w|| g_w``, where ``g_w = sum_t w_t g_t`` minimises ``g_w .
    g_0 + c ||g_0|| ||g_w||`` over the simplex.  ``c = 0`` is equal weights, a large `c` MGDA; for
    ``c < 1`` it converges to an optimum of the mean loss.

    Parameters
    ----------
    c : float, default=0.4
        Radius over the length of the mean gradient, at least 0.
    rescale : {"none", "linear", "square"}, default="linear"
        What the step, of up to ``1 + c`` times the length of the mean gradient, is divided by:
        1, ``1 + c`` or ``1 + c^2``.
    wrt : {"auto", "representation", "parameters"}, default="auto"
        What the tasks' gradients are taken with respect to: the representation that all heads
        read, or all parameters of trunk and sharing (0 for those that are another task's own).
        ``"auto"``: the former where there is one.
    update_every : int, default=8
        Steps for which weights are kept.

    Notes
    -----
    The authors' code divides by ``1 + c`` on toy data and by ``1 + c^2`` on images, as LibMTL
    does unless told otherwise.

    Departure: weights are multiplied by the number of tasks in the batch, so that learning
    rate, weight decay and penalties mean what they mean with equal weights.

    Departure: where the mixture ``g_w`` vanishes, so that the formula is 0 / 0, ``g_0`` is
    projected on the steps that harm no task, which is within the radius then.

    References
    ----------
    B. Liu, X. Liu, X. Jin, P. Stone, Q. Liu: Conflict-Averse Gradient Descent for Multi-task
    Learning, NeurIPS 2021, arXiv:2110.14048, Algorithm 1.

    Examples
    --------
    >>> from skmtl.weighting import CAGrad
    >>> CAGrad(c=0.2)
    CAGrad(c=0.2)
    """

    alias = "cagrad"
    needs_gradients = True

    def __init__(
        self, c: float = 0.4, rescale: str = "linear", wrt: str = "auto", update_every: int = 8
    ) -> None:
        self.c = c
        self.rescale = rescale
        self.wrt = wrt
        self.update_every = update_every

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"c": 0.0}, {"c": 2.0, "rescale": "none"}, {"rescale": "square"}]

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
        c = check_number(self.c, "c")
        rescale = check_choice(self.rescale, "rescale", _RESCALES)
        solve = partial(cagrad_weights, c=c, rescale=rescale)
        return GramianWeights(solve, layout, n_members, self.wrt, self.update_every)


def cagrad_weights(gramian: np.ndarray, c: float = 0.4, rescale: str = "linear") -> np.ndarray:
    """Find the weights of the step.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.
    c : float, default=0.4
        Radius.
    rescale : str, default="linear"
        What the step is divided by.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Above 0.
    """
    weights = _weights(gramian, c)
    return weights / {"none": 1.0, "linear": 1 + c, "square": 1 + c * c}[rescale]


def _weights(gramian: np.ndarray, c: float) -> np.ndarray:
    cosines, lengths = cosines_of(gramian)
    n = len(lengths)
    directions = factor_of(cosines)
    mean = directions @ lengths / n
    size = np.linalg.norm(mean)
    if c == 0 or size <= NOISE**2 * lengths.max():
        return np.ones(n)  # gradients that cancel: the step is 0 in any case
    lengths = lengths / size
    gradients = directions * lengths
    mixture = _worst_mixture(gradients, mean / size, c)
    length = np.linalg.norm(gradients @ mixture)
    if length <= NOISE * (mixture @ lengths):
        return project_on_dual_cone(np.ones((1, n)), gramian, NOISE)[0]
    return 1 + n * c / length * mixture


def _worst_mixture(gradients: np.ndarray, mean: np.ndarray, c: float) -> np.ndarray:
    r"""Minimise ``g_w . g_0 + c ||g_w||`` over the simplex, for a mean ``g_0`` of length 1.

    As ``c ||g_w|| = min_s (||g_w||^2 / s + c^2 s) / 2``, with the minimum at ``s = ||g_w|| / c``,
    it is ``min_s min_w ||g_w + s g_0||^2 / 2 s`` up to terms without w: the shortest vector in the
    hull of gradients shifted by the s for which ``||g_w|| = c s``.  ``||g_w|| / s`` falls with s.
    On the tasks with a weight above 0 the shortest vector is linear in s, and a quadratic
    equation has the s; it is right once it is that of the tasks that it leads to.
    """
    lengths = np.linalg.norm(gradients, axis=0)
    lowest, highest = 0.0, lengths.max() / c
    shift = lengths.min() / c
    for _ in range(MAX_STEPS):
        weights = shortest_in_hull(gradients + shift * mean[:, None])
        length = np.linalg.norm(gradients @ weights)
        excess = length / (c * shift) - 1
        vanishes = excess < 0 and length <= NOISE * (weights @ lengths)
        if abs(excess) <= TOLERANCE or vanishes:
            break
        lowest, highest = (shift, highest) if excess > 0 else (lowest, shift)
        shift = _shift_on(gradients[:, weights > 0], mean, c)
        if not lowest < shift < highest:  # NaN, too
            shift = np.sqrt(lowest * highest) if lowest else highest / 10
    return weights


def _shift_on(gradients: np.ndarray, mean: np.ndarray, c: float) -> float:
    """Solve ``||g_w|| = c s`` for s, where w mixes these gradients alone, with any signs."""
    lengths = np.linalg.norm(gradients, axis=0)
    directions = gradients / lengths
    right = np.column_stack([1 / lengths, directions.T @ mean])
    try:
        by_sum, by_mean = np.linalg.solve(directions.T @ directions, right).T
    except np.linalg.LinAlgError:
        return np.nan
    total = (by_sum / lengths).sum()
    if not total > 0:
        return np.nan
    # g_w = p + s q
    share = by_sum / total
    p = directions @ share
    q = directions @ (share * (by_mean / lengths).sum() - by_mean)
    # The positive root 1 / s of ||p||^2 / s^2 + 2 p.q / s + ||q||^2 - c^2.
    square, half = p @ p, p @ q
    root = np.sqrt(max(half * half - square * (q @ q - c * c), 0.0))
    return square / (root - half) if root > half else np.nan
