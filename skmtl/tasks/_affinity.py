"""How strongly the labels of tasks go together, before any training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skmtl.tasks._task import Task, column_spans

#: With fewer rows that both tasks label, any two of them agree perfectly.
SMALLEST_OVERLAP = 3
#: A variance below this share of the sum of squares may be rounding: such pairs are centred.
ROUNDING = 1e-6


def label_affinity(values: np.ndarray, mask: np.ndarray, tasks: Sequence[Task]) -> np.ndarray:
    """Correlate the labels of every two tasks, on the rows that both label.

    The largest canonical correlation ``max_ab |corr(Y_s a, Y_t b)|`` between the columns of
    tasks s and t, with classes as indicator columns: between two tasks of one number or two
    classes each, that is the size of Pearson's correlation.  It costs no training and says
    whether two tasks tell the same story, not whether they read the same features of x:
    tasks with uncorrelated labels may share all of them.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns)
        Numbers and class codes, as in :class:`skmtl.tasks.Targets`.
    mask : ndarray of shape (n_samples, n_columns), bool
        Where there is a label.  A row counts for a vector-valued task if it has all of them.
    tasks : sequence of Task
        In the order of the columns.

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks), float64
        In [0, 1], symmetric, with a diagonal of 1.  NaN where two tasks have fewer than 3
        rows in common, or one of them does not vary there.

    Notes
    -----
    Tasks of one column are correlated by four matrix products, whatever labels are missing;
    a task of several columns takes a singular value decomposition per pair.  With few
    common rows and many columns or classes the largest correlation is large by chance: as
    many columns as rows always reach 1.

    References
    ----------
    H. Hotelling: Relations Between Two Sets of Variates, Biometrika 28, 1936.

    Examples
    --------
    >>> import numpy as np
    >>> from skmtl.tasks import Task, label_affinity
    >>> values = np.array([[1.0, 0], [2, 0], [3, 1], [4, 1]])
    >>> tasks = [Task("size"), Task("sold", "binary", classes=["no", "yes"])]
    >>> label_affinity(values, np.ones((4, 2), bool), tasks).round(2)
    array([[1.  , 0.89],
           [0.89, 1.  ]])
    """
    spans = column_spans(tasks)
    labelled = np.column_stack([mask[:, span].all(axis=1) for span in spans])
    tables = [
        _columns(values[:, span], labelled[:, i], tasks[i]) for i, span in enumerate(spans)
    ]  # (n_samples, n_columns or n_classes) each
    affinity = np.full((len(tasks), len(tasks)), np.nan)
    single = [i for i, table in enumerate(tables) if table.shape[1] == 1]
    if single:
        columns = np.hstack([tables[i] for i in single])
        affinity[np.ix_(single, single)] = _correlations(columns, labelled[:, single])
    counts = labelled.T.astype(np.float64) @ labelled
    open_pairs = np.triu(np.isnan(affinity) & (counts >= SMALLEST_OVERLAP), 1)
    for i, j in np.argwhere(open_pairs):
        rows = labelled[:, i] & labelled[:, j]
        affinity[i, j] = affinity[j, i] = _canonical(tables[i][rows], tables[j][rows])
    np.fill_diagonal(affinity, 1.0)
    return affinity


def _columns(values: np.ndarray, labelled: np.ndarray, task: Task) -> np.ndarray:
    """Return a task's labels as numbers: indicators of three or more classes, 0 if missing."""
    if not task.has_classes or task.kind == "multilabel":
        return np.where(labelled[:, None], values, 0.0)
    codes = np.where(labelled, values[:, 0], 0.0)
    n_classes = max(task.n_classes, int(codes.max(initial=0.0)) + 1)
    if n_classes <= 2:
        return codes[:, None]
    indicators = codes[:, None] == np.arange(n_classes)
    return np.where(labelled[:, None], indicators, False).astype(np.float64)


def _correlations(columns: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return sizes of correlations on common rows, NaN where the products cannot tell.

    With V the centred columns, 0 where missing, and M the mask, the sums over the rows that
    i and j have in common are ``M'M`` (count), ``V'M`` (of i), ``(V*V)'M`` (of squares of i)
    and ``V'V`` (of products).
    """
    m = labelled.astype(np.float64)
    n_labelled = np.maximum(m.sum(axis=0), 1.0)
    v = m * (columns - (columns * m).sum(axis=0) / n_labelled)
    # To a scale of 1, so that no square overflows; a constant column becomes 0.
    v = v / np.maximum(np.abs(v).max(axis=0, initial=0.0), np.finfo(np.float64).tiny)
    counts = np.maximum(m.T @ m, 1.0)
    sums, squares = v.T @ m, (v * v).T @ m
    variances = squares - sums * sums / counts
    covariances = v.T @ v - sums * sums.T / counts
    is_sure = (m.T @ m >= SMALLEST_OVERLAP) & (variances > ROUNDING * squares)
    is_sure &= is_sure.T
    scales = np.sqrt(np.where(is_sure, variances, 1.0))
    return np.where(is_sure, np.clip(np.abs(covariances) / (scales * scales.T), 0.0, 1.0), np.nan)


def _canonical(left: np.ndarray, right: np.ndarray) -> float:
    """Return the largest canonical correlation of two tables, NaN if one does not vary."""
    bases = [_basis(left), _basis(right)]
    if any(basis.shape[1] == 0 for basis in bases):
        return np.nan
    return min(float(np.linalg.norm(bases[0].T @ bases[1], ord=2)), 1.0)


def _basis(table: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the centred columns, shape (n_samples, rank)."""
    spread = np.ptp(table, axis=0)
    table = table[:, spread > 0] / spread[spread > 0]
    table = table - table.mean(axis=0)
    if table.shape[1] == 0:
        return table
    basis, sizes, _ = np.linalg.svd(table, full_matrices=False)
    return basis[:, sizes > sizes[0] * max(table.shape) * np.finfo(np.float64).eps]
