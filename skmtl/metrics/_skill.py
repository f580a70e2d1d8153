"""Skill: which part of the best constant's loss a model takes away."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import log_loss, r2_score

from skmtl.tasks import TaskOutput


def skill_score(
    output: TaskOutput, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Score one task on a scale that all kinds of task share.

    ``1 - loss / loss of the best constant``: R2 for a regression task (squared error), D2
    log loss for a class task (cross-entropy).  It is what training minimises, in units of
    the null model: 1 is perfect, 0 as good as knowing the mean or the class shares,
    negative worse than that.  Accuracy has no such zero, and a mean of R2 and accuracy
    would let a task with rare classes look solved.

    Parameters
    ----------
    output : TaskOutput
        Predictions for the labelled rows.
    y : ndarray of shape (n_samples,) or (n_samples, n_columns)
        Class codes, or numbers.
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
    if not output.task.has_classes:
        if np.all(np.ptp(y, axis=0) == 0):
            return np.nan
        return float(r2_score(y, output.values, sample_weight=sample_weight))
    codes = y.astype(np.intp)
    n_classes = max(output.task.n_classes, int(codes.max()) + 1)
    shares = np.bincount(codes, weights=sample_weight, minlength=n_classes)
    shares = shares / shares.sum()
    if (shares > 0).sum() < 2:
        return np.nan
    # A class that training never saw has probability 0.
    unseen = n_classes - output.values.shape[1]
    probabilities = np.pad(output.values, ((0, 0), (0, unseen)))
    null = -np.sum(shares[shares > 0] * np.log(shares[shares > 0]))
    labels = np.arange(n_classes)
    loss = log_loss(codes, probabilities, sample_weight=sample_weight, labels=labels)
    return float(1 - loss / null)
