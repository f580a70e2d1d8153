"""The shortest vector between others."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls


def shortest_in_hull(vectors: np.ndarray) -> np.ndarray:
    """Find the shortest vector of a convex hull.

    Parameters
    ----------
    vectors : ndarray of shape (n_coordinates, n)
        In columns; their lengths may differ by orders of magnitude.

    Returns
    -------
    ndarray of shape (n,)
        Weights of the vectors, at least 0 and with 1 as their sum; columns with a weight
        above 0 do not depend on each other, up to rounding.
    """
    n = vectors.shape[1]
    lengths = np.sqrt((vectors * vectors).sum(0))
    shortest = lengths.min()
    if shortest == 0.0:
        return np.eye(n)[lengths.argmin()]
    # min over x >= 0 of ||V x||^2 + r^2 (1 - sum x)^2 points at the min-norm point: along a
    # ray x = s w with w in the simplex it falls to r^2 m / (r^2 + m), m = ||V w||^2.  With r as
    # short as the shortest vector and columns of length 1 all sizes are alike; with r = 1, the
    # solver ran into its limit of iterations where lengths differ by six orders of magnitude.
    scale = np.hypot(lengths, shortest)
    columns = np.vstack([vectors, np.full(n, shortest)]) / scale
    found, _ = nnls(columns, np.eye(len(columns))[-1], maxiter=30 * n)
    weights = found / scale
    return weights / weights.sum()
