"""The error of a prediction of one task, relative to that of the best constant: 1 is as bad.

Numbers: root mean squared error over that of the mean of the training labels.  Classes: the mean
of two ratios, log loss over that of the training shares, and 1 - AUC over 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

LEAST = 1e-6  # of a probability
FEW_TRAINING, FEW_TEST = 10, 5  # labels below which a task is not scored


@dataclass(frozen=True)
class TaskError:
    """The error of one task and, of classes, its two parts; NaN where there is none."""

    error: float = np.nan
    log_loss: float = np.nan  # over that of the training shares
    auc: float = np.nan  # (1 - AUC) / 0.5


NOT_SCORED = TaskError()


def is_scored(known: np.ndarray, truth: np.ndarray) -> bool:
    """Say whether labels to learn from and of the test let a task be judged, whatever the model.

    Labels may be NaN, which is: missing.
    """
    known, truth = known[~np.isnan(known)], truth[~np.isnan(truth)]
    if len(known) < FEW_TRAINING or len(truth) < FEW_TEST:
        return False
    return bool(np.ptp(known) > 0 and (truth != known.mean()).any())


def number_error(known: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> TaskError:
    """Return the error of numbers; NaN in the truth: missing."""
    there = ~np.isnan(truth)
    _must_be_finite(predicted[there])
    squares = (truth - predicted)[there] ** 2
    base = (truth[there] - np.nanmean(known)) ** 2
    return TaskError(float(np.sqrt(squares.mean() / base.mean())))


def class_error(known: np.ndarray, truth: np.ndarray, shares: np.ndarray) -> TaskError:
    """Return the error of probabilities, shape (sample, class); labels are codes or NaN."""
    there = ~np.isnan(truth)
    _must_be_finite(shares[there])
    codes, shares = truth[there].astype(int), shares[there]
    constant = np.bincount(known[~np.isnan(known)].astype(int), minlength=shares.shape[1])
    base = log_loss(codes, np.tile(constant / constant.sum(), (len(codes), 1)))
    loss = log_loss(codes, shares) / base
    auc = one_against_rest(codes, shares)
    if np.isnan(auc):
        return TaskError(loss, loss)
    auc = (1 - auc) / 0.5
    return TaskError((loss + auc) / 2, loss, auc)


def log_loss(codes: np.ndarray, shares: np.ndarray) -> float:
    """Return the mean log loss of probabilities that are kept away from 0."""
    clipped = np.clip(shares, LEAST, 1.0)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return float(-np.log(clipped[np.arange(len(codes)), codes]).mean())


def one_against_rest(codes: np.ndarray, shares: np.ndarray) -> float:
    """Return the mean AUC over the classes that are there; NaN if there is but one."""
    present = np.unique(codes)
    if len(present) < 2:
        return float("nan")
    return float(np.mean([roc_auc_score(codes == c, shares[:, c]) for c in present]))


def _must_be_finite(predicted: np.ndarray) -> None:
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"{int((~np.isfinite(predicted)).sum())} of {predicted.size} predictions are not finite"
        )
