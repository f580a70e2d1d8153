"""Gradients as directions and lengths: what methods that invert a Gramian start from."""

from __future__ import annotations

import numpy as np

#: Up to what share of the largest one eigenvalues of cosines are noise.  Gradients come in
#: float32, whose rounding of 6e-8 adds up in the sums over their coordinates.
NOISE = 1e-6


def cosines_of(gramian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the products of gradients into those of their directions, and their lengths.

    However unequal the lengths are, nothing is lost: a Gramian of lengths over six orders of
    magnitude has eigenvalues over twelve, the cosines have not.

    Parameters
    ----------
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.

    Returns
    -------
    cosines : ndarray of shape (n_tasks, n_tasks)
        Products of the gradients divided by their lengths.
    lengths : ndarray of shape (n_tasks,)
        Lengths of the gradients.
    """
    lengths = np.sqrt(np.diagonal(gramian))
    cosines = gramian / lengths / lengths[:, None]
    # Products too small for float32 are no longer those of any gradients.
    return cosines.clip(-1.0, 1.0), lengths


def equal_projections(cosines: np.ndarray) -> np.ndarray:
    """Find the combination of directions on which all of them have the same projection, 1.

    Parameters
    ----------
    cosines : ndarray of shape (n_tasks, n_tasks)
        Products of the directions.

    Returns
    -------
    ndarray of shape (n_tasks,)
        Coefficients ``C^+ 1``: of dependent directions the closest, by least squares.
    """
    values, vectors = np.linalg.eigh(cosines)
    kept = vectors[:, values > NOISE * values[-1]]
    return kept @ (kept.sum(0) / values[values > NOISE * values[-1]])


def rank_of(cosines: np.ndarray) -> int:
    """Count the directions that do not depend on each other.

    Parameters
    ----------
    cosines : ndarray of shape (n_tasks, n_tasks)
        Products of the directions.

    Returns
    -------
    int
        At least 1.
    """
    values = np.linalg.eigvalsh(cosines)
    return int((values > NOISE * values[-1]).sum())
