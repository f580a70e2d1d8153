"""Weights that are the inverse of what their tasks gain."""

from __future__ import annotations

import numpy as np

from skmtl.weighting._cosines import NOISE, cosines_of
from skmtl.weighting._gramian import factor_of

MAX_STEPS = 200
#: Relative change of a Newton step after which, squared, nothing is left to change.
LAST_CHANGE = 1e-9
#: The same, below which the objective is too flat to tell whether a step is too long.
SMALL_CHANGE = 1e-4


def typical_length(gramian: np.ndarray) -> float:
    """Return a length for all gradients together, the square root of ``||G|| / sqrt(n)``.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients.

    Returns
    -------
    float
        Their length, if all have the same one and are orthogonal.
    """
    # With the largest entry aside, whose square may be too large or too small a number.
    largest = gramian.max()
    return float(np.sqrt(largest * np.linalg.norm(gramian / largest) / np.sqrt(len(gramian))))


def solve_fair(gramian: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Solve ``G w = w^(-1 / alpha)`` for the Gramian of gradients in units of their typical length.

    Where gradients oppose each other, so that ``w`` would grow without end, 1e-6 of each
    one's squared length is added to it: weights stay finite, and the direction becomes small.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.
    alpha : float, default=1.0
        Above 0.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Above 0; 1 for orthogonal gradients of equal lengths.
    """
    power = 1 / alpha
    cosines, lengths = cosines_of(gramian)
    lengths = lengths / typical_length(gramian)
    # With w = z * start / lengths, z = 1 solves it for orthogonal gradients of any lengths.
    start = lengths ** ((power - 1) / (power + 1))
    scale = np.outer(start, start)
    found, is_solution = _solve(scale * cosines, start**2, power)
    if not is_solution:
        factor = factor_of(cosines)
        cosines = factor.T @ factor + NOISE * np.eye(len(cosines))
        found, _ = _solve(scale * cosines, start**2, power)
    return start * found / lengths


def _solve(matrix: np.ndarray, sizes: np.ndarray, power: float) -> tuple[np.ndarray, bool]:
    """Solve ``A z = a z^-power`` by damped Newton steps, unless gradients oppose each other.

    The solution is where ``z^T A z / 2 + sum_t a_t z_t^(1 - power) / (power - 1)`` is least,
    which is strictly convex; for a power of 1 the sum is that of ``-a_t log(z_t)``.
    """
    total = max(matrix.sum(), NOISE * sizes.sum())
    z = np.full(len(matrix), (sizes.sum() / total) ** (1 / (1 + power)))  # the least on the ray
    value = _objective(matrix, sizes, z, power)
    for _ in range(MAX_STEPS):
        slope = sizes * z**-power
        residual = slope - matrix @ z
        try:
            change = np.linalg.solve(matrix + np.diag(power * slope / z), residual)
        except np.linalg.LinAlgError:  # a Gramian that rounding has made negative
            return z, False
        size = np.abs(change / z).max()
        gain = 1e-4 * (residual @ change)
        share = min(1.0, 0.9 / max((-change / z).max(), 0.9))  # z stays above 0
        old = value
        while True:
            value = _objective(matrix, sizes, z + share * change, power)
            if value <= old - share * gain or size < SMALL_CHANGE or share < SMALL_CHANGE:
                break
            share /= 2
        z = z + share * change
        # Long vectors with a short sum: what is left of them is rounding.
        if z @ matrix @ z < NOISE * (sizes @ z**2):
            return z, False
        if size < LAST_CHANGE:
            break
    return z, True


def _objective(matrix: np.ndarray, sizes: np.ndarray, z: np.ndarray, power: float) -> float:
    terms = -np.log(z) if power == 1 else z ** (1 - power) / (power - 1)
    return float(z @ matrix @ z / 2 + sizes @ terms)
