"""Skill: which part of the best constant's loss a model takes away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import d2_tweedie_score, mean_pinball_loss, r2_score

from skmtl.tasks import TaskOutput


def skill_score(
    output: TaskOutput, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Score one task on a scale that all kinds of task share.

    ``1 - loss / loss of the best constant``: 1 is perfect, 0 as good as knowing the mean or the
    class shares, negative worse than that.  It is what training minimises, in units of the null
    model.  Accuracy has no such zero, and a mean of R2 and accuracy would let a task with rare
    classes look solved.  The loss depends on the kind of task alone, not on the loss it was
    trained with, so that scores can be compared:

    - regression: squared error, R2; of a vector the mean over the columns that vary;
    - classes, ordered or not: cross-entropy, D2 log loss; of a multilabel task summed over its
      labelled cells;
    - count: Poisson deviance, D2 Tweedie score of power 1;
    - quantile: pinball loss, summed over the levels, D2 pinball score.

    Parameters
    ----------
    output : TaskOutput
        Predictions for the labelled rows.
    y : ndarray of shape (n_samples,) or (n_samples, n_columns)
        Class codes, or numbers.  NaN in a multilabel task: no label.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    float
        At most 1; NaN where it is not defined: fewer than two rows, one class, or no
        spread.

    References
    ----------
    T. Gneiting, A. E. Raftery: Strictly Proper Scoring Rules, Prediction, and Estimation,
    JASA 102, 2007, section 2.3 (skill scores).
    """
    if len(y) < 2:
        return np.nan
    return _SKILLS[str(output.task.kind)](output, y, sample_weight)


def _of_numbers(output: TaskOutput, y: np.ndarray, weight: np.ndarray | None) -> float:
    y = y.reshape(len(y), -1)
    varies = np.ptp(y, axis=0) > 0  # of a constant column there is nothing to explain
    if not varies.any():
        return np.nan
    return float(r2_score(y[:, varies], output.values[:, varies], sample_weight=weight))


def _of_counts(output: TaskOutput, y: np.ndarray, weight: np.ndarray | None) -> float:
    y = y.ravel()
    if np.ptp(y) == 0:
        return np.nan
    rates = np.maximum(output.values[:, 0], np.finfo(np.float64).tiny)
    return float(d2_tweedie_score(y, rates, sample_weight=weight, power=1))


def _of_quantiles(output: TaskOutput, y: np.ndarray, weight: np.ndarray | None) -> float:
    y = y.ravel()
    if np.ptp(y) == 0:
        return np.nan
    weight = np.ones(len(y)) if weight is None else weight
    order = np.argsort(y)
    total = np.cumsum(weight[order])
    loss = null = 0.0
    for level, predicted in zip(output.task.quantiles, output.values.T, strict=True):
        best = y[order[np.searchsorted(total, level * total[-1])]]
        constant = np.full(len(y), best)
        loss += mean_pinball_loss(y, predicted, sample_weight=weight, alpha=level)
        null += mean_pinball_loss(y, constant, sample_weight=weight, alpha=level)
    return float(1 - loss / null)


def _of_classes(output: TaskOutput, y: np.ndarray, weight: np.ndarray | None) -> float:
    codes = y.astype(np.intp)
    n_classes = max(output.task.n_classes, int(codes.max()) + 1)
    shares = np.bincount(codes, weights=weight, minlength=n_classes)
    shares = shares / shares.sum()
    if (shares > 0).sum() < 2:
        return np.nan
    # A class that training never saw has probability 0.
    is_known = codes < output.values.shape[1]
    own = output.values[np.arange(len(codes)), np.where(is_known, codes, 0)]
    null = -np.sum(shares[shares > 0] * np.log(shares[shares > 0]))
    # scikit-learn's log_loss checks for milliseconds what is known here.
    loss = np.average(_surprise(np.where(is_known, own, 0.0)), weights=weight)
    return float(1 - loss / null)


def _of_labels(output: TaskOutput, y: np.ndarray, weight: np.ndarray | None) -> float:
    y = y.reshape(len(y), -1)
    cells = np.where(np.isnan(y), 0.0, 1.0 if weight is None else weight[:, None])
    y = np.nan_to_num(y)
    total = cells.sum(axis=0)
    shares = (cells * y).sum(axis=0) / np.where(total > 0, total, 1.0)
    null = (cells * _entropies(y, shares)).sum()
    loss = (cells * _entropies(y, output.values)).sum()
    return float(1 - loss / null) if null > 0 else np.nan


def _entropies(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return ``-log`` of the probability of each label, cut off as scikit-learn does it."""
    # A share of exactly 1 has no entropy, and no label that would tell.
    return _surprise(np.where(y > 0, p, 1 - p))


def _surprise(p: np.ndarray) -> np.ndarray:
    """Return ``-log`` of probabilities, cut off as scikit-learn does it."""
    return -np.log(np.clip(p, np.finfo(p.dtype).eps, 1.0))


#: The skill of each kind of task.
_SKILLS: dict[str, Callable[[TaskOutput, np.ndarray, np.ndarray | None], float]] = {
    "regression": _of_numbers,
    "count": _of_counts,
    "quantile": _of_quantiles,
    "binary": _of_classes,
    "multiclass": _of_classes,
    "ordinal": _of_classes,
    "multilabel": _of_labels,
}
