"""Projection on the directions that harm no task."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.optimize import nnls

from skmtl.weighting._cosines import cosines_of
from skmtl.weighting._gramian import factor_of

#: Exchanges of pivoting, of which two to five are usual.
MAX_EXCHANGES = 20
#: What counts as zero of a change and of a product, for directions of length 1.
ZERO = 1e-12
#: What rounding may leave of products that are to be zero.
TOLERANCE = 1e-9


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
    cosines = cosines + reg_eps * np.eye(len(cosines))
    u = combinations * lengths  # of the directions
    rows = np.flatnonzero((u @ cosines < 0).any(1))
    if len(rows):
        sizes = u[rows].max(1, keepdims=True)
        u[rows] += sizes * _changes(cosines, u[rows] / sizes)
    return u / lengths


def _changes(cosines: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Find the ``x`` of each row."""
    x, is_solved = pivoted(cosines, u @ cosines)
    if not is_solved.all():
        factor = factor_of(cosines)
        for row in np.flatnonzero(~is_solved):
            x[row], _ = nnls(factor, -factor @ u[row], maxiter=30 * len(cosines))
    return x


def pivoted(cosines: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find ``x >= 0`` with ``y = products + C x >= 0`` and ``x y = 0``, for many rows at once.

    Block principal pivoting: of each pair one is taken for zero, and all pairs in which the
    other one comes out negative change sides.  It need not end, but if so, at the solution.

    Parameters
    ----------
    cosines : ndarray of shape (n_tasks, n_tasks)
        ``C``, positive semi-definite with about 1 in its diagonal.
    products : ndarray of shape (n, n_tasks)
        Values of ``y`` for ``x = 0``.

    Returns
    -------
    x : ndarray of shape (n, n_tasks)
        Solutions, and zeros.
    is_solved : ndarray of shape (n,), bool
        Which rows are solutions.

    References
    ----------
    J. Kim, H. Park: Fast Nonnegative Matrix Factorization: An Active-Set-Like Method and
    Comparisons, SIAM Journal on Scientific Computing 33, 2011, section 4 (without the exchange
    of single pairs: rows that need it are left to the caller).
    """
    x, y = np.zeros_like(products), products.copy()
    is_free, is_solved = np.zeros(x.shape, dtype=bool), np.zeros(len(x), dtype=bool)
    left = np.arange(len(x))
    for _ in range(MAX_EXCHANGES):
        is_wrong = np.where(is_free[left], x[left] < -ZERO, y[left] < -ZERO)
        is_left = is_wrong.any(1)
        is_solved[left] = ~is_left
        left = left[is_left]
        if not len(left):
            break
        is_free[left] ^= is_wrong[is_left]
        x[left] = [_with_zeros(cosines, products[row], is_free[row]) for row in left]
        left = left[np.isfinite(x[left]).all(1)]
        y[left] = products[left] + x[left] @ cosines
    # Where directions depend on each other, rounding may leave more than it should.
    is_solved &= (np.abs(y) <= TOLERANCE).all(1, where=is_free)
    return np.where(is_solved[:, None], x, 0.0).clip(0.0), is_solved


def _with_zeros(cosines: np.ndarray, products: np.ndarray, is_free: np.ndarray) -> np.ndarray:
    """Find the ``x`` that is 0 where it is not free, and ``y`` where it is; NaN if none is."""
    free = np.flatnonzero(is_free)
    x = np.zeros(len(products))
    part = cosines[free][:, free].T  # in the order of LAPACK; symmetric
    _, x[free], failed = dposv(part, -products[free], overwrite_a=True)
    return np.full(len(x), np.nan) if failed else x
