"""Weights that are the inverse of what their tasks gain."""

from __future__ import annotations

import numpy as np

from skmtl.weighting._cosines import NOISE, cosines_of

MAX_STEPS = 200
#: Relative change of a Newton step after which, squared, nothing is left to change.
LAST_CHANGE = 1e-9
#: Coefficient of a direction above which gradients are taken to oppose each other.
LARGEST = 1e3


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


def fair_weights(gramian: np.ndarray, power: float) -> np.ndarray:
    """Solve ``G w = w^-power`` for the Gramian of gradients in units of their typical length.

    Where gradients oppose each other, so that ``w`` would grow without end, 1e-6 of each
    one's squared length is added to it: weights stay finite, and the direction becomes small.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.
    power : float
        Above 0.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Above 0.
    """
    cosines, lengths = cosines_of(gramian)
    lengths = lengths / typical_length(gramian)
    # The solution w = start^2 * z / lengths^.. of single tasks, by which all sizes are alike.
    start = lengths ** ((power - 1) / (power + 1))
    found = _solve(start[:, None] * cosines * start, power)
    if found is None:
        cosines = cosines + NOISE * np.eye(len(cosines))
        found = _solve(start[:, None] * cosines * start, power, largest=np.inf)
    assert found is not None
    return start * found / lengths


def _solve(matrix: np.ndarray, power: float, largest: float = LARGEST) -> np.ndarray | None:
    """Solve ``A z = diag(A) z^-power`` by damped Newton steps, or find that z has no bound.

    It is where ``z^T A z / 2 + sum_t A_tt z_t^(1 - power) / (power - 1)`` is least, which is
    strictly convex; for a power of 1 the sum is that of ``-A_tt log(z_t)``.
    """
    diagonal = np.diagonal(matrix).copy()
    z = np.full(len(matrix), (diagonal.sum() / max(matrix.sum(), NOISE * diagonal.sum())))
    z = z ** (1 / (1 + power))  # the least along the ray of equal ones
    for _ in range(MAX_STEPS):
        slope = diagonal * z**-power
        residual = slope - matrix @ z
        hessian = matrix + np.diag(power * slope / z)
        try:
            change = np.linalg.solve(hessian, residual) / z
        except np.linalg.LinAlgError:
            return None
        size = np.abs(change).max()
        z = z * (1 + _step(matrix, diagonal, power, z, change) * change)
        if z.max() > largest:
            return None
        if size < LAST_CHANGE:
            break
    return z
