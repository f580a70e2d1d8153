"""Projection on the directions that harm no task."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from skmtl.weighting._cosines import cosines_of
from skmtl.weighting._gramian import factor_of


def project_on_dual_cone(
    combinations: np.ndarray, gramian: np.ndarray, reg_eps: float
) -> np.ndarray:
    r"""Project combinations of gradients on ``{d: g_t . d >= 0 for all t}``.

    The projection of ``J^T u`` is ``J^T v`` with ``v = argmin_{v >= u} v^T G v``.  With
    ``v = u + x`` this is non-negative least squares for ``x`` on a factor of ``G``.

    Parameters
    ----------
    combinations : ndarray of shape (n, n_tasks)
        Coefficients ``u`` of the gradients, at least 0.
    gramian : ndarray of shape (n_tasks, n_tasks)
        Products of gradients that are not zero.
    reg_eps : float
        Share of the squared length of each gradient that is added to it.

    Returns
    -------
    ndarray of shape (n, n_tasks)
        Coefficients ``v`` of the gradients.
    """
    cosines, lengths = cosines_of(gramian)
    n = len(cosines)
    cosines = cosines + reg_eps * np.eye(n)
    u = combinations * lengths  # of the directions
    factor = factor_of(cosines)
    for row in np.flatnonzero((u @ cosines < 0).any(1)):
        change, _ = nnls(factor, -factor @ u[row], maxiter=30 * n)
        u[row] += change
    return u / lengths
