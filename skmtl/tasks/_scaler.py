"""Numbers to a common scale, by the labelled training cells, and back."""

from __future__ import annotations

import numpy as np

from skmtl.tasks._encoder import Targets
from skmtl.tasks._task import Task

#: Median distance from the median -> standard deviation, of a normal distribution.
NORMAL_MAD = 1.4826
#: A median distance below this share of the deviation says nothing of the other half.
LEAST_MAD = 1e-3


class TargetScaler:
    """Standardises columns of numbers, so that the losses of tasks are commensurable.

    Regression and quantile targets get mean 0 and variance 1.  With a loss that outliers shall
    not move, the median takes the place of the mean, and the median distance from it, times
    1.4826 as for a normal target, that of the deviation: one outlier among few labels would
    else press all others into a range where the loss cannot tell them apart.  Where more than
    half of the labels are alike that distance is 0, and the deviation stays.

    Counts are divided by their mean, and not shifted: the logarithm of the rate then starts at
    that of the mean rate, 0, and a Poisson deviance is divided by the same number as its
    labels.  A class column is left as it is.  A constant column keeps scale 1.

    Attributes
    ----------
    mean_ : ndarray of shape (n_columns,)
        Weighted mean, or median, over labelled cells, in the units of y; 0 for counts and
        class columns.
    scale_ : ndarray of shape (n_columns,)
        Weighted standard deviation, or what stands for it, over labelled cells, in the units
        of y; 1 for class columns.
    is_constant_ : ndarray of shape (n_columns,), bool
        Which columns of numbers have no spread, or no label; of counts, no count above 0.
    """

    def fit(self, targets: Targets, weights: np.ndarray, tasks: tuple[Task, ...]) -> TargetScaler:
        """Learn means and scales from labelled training cells.

        Parameters
        ----------
        targets : Targets
            Training rows.
        weights : ndarray of shape (n_samples, n_columns)
            Weight of each cell; 0 where there is no label.
        tasks : tuple of Task
            Which columns are numbers, and by which loss they are learned.

        Returns
        -------
        TargetScaler
            self.
        """
        owners = [task for task in tasks for _ in task.columns]
        is_number = np.array([not task.has_classes for task in owners])
        total = weights.sum(axis=0)
        share = weights / np.where(total > 0, total, 1.0)
        mean = (share * targets.values).sum(axis=0)
        scale = _deviation(np.where(share > 0, targets.values - mean, 0.0), share)
        # Below the rounding error of the mean, a spread is no spread.
        constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        for i, task in enumerate(owners):
            if task.kind == "count":
                mean[i], scale[i], constant[i] = 0.0, mean[i], mean[i] <= 0
            elif getattr(task.loss, "is_robust", False) and not constant[i]:
                mean[i], scale[i] = _robust(targets.values[:, i], weights[:, i], scale[i])
        self.is_constant_ = is_number & constant
        self.mean_ = np.where(is_number, mean, 0.0)
        self.scale_ = np.where(is_number & ~constant, scale, 1.0)
        return self

    def with_columns(self, other: TargetScaler, columns: np.ndarray) -> TargetScaler:
        """Return a copy that takes some columns from another scaler.

        Parameters
        ----------
        other : TargetScaler
            Fitted, on rows that hold the first labels of these columns.
        columns : ndarray of shape (n_columns,), bool
            Which columns.

        Returns
        -------
        TargetScaler
            A copy.
        """
        scaler = TargetScaler()
        scaler.mean_ = np.where(columns, other.mean_, self.mean_)
        scaler.scale_ = np.where(columns, other.scale_, self.scale_)
        scaler.is_constant_ = np.where(columns, other.is_constant_, self.is_constant_)
        return scaler

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Standardise columns of numbers.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_columns)
            In the units of y.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Standardised numbers; class codes as they were.
        """
        return (values - self.mean_) / self.scale_


def _robust(values: np.ndarray, weights: np.ndarray, deviation: float) -> tuple[float, float]:
    """Return the weighted median, and the scale by the distances from it."""
    middle = _weighted_median(values, weights)
    scale = NORMAL_MAD * _weighted_median(np.abs(values - middle), weights)
    return middle, scale if scale > LEAST_MAD * deviation else deviation


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, 0.5 * total[-1])]])


def _deviation(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return standard deviations by column, also where squares are no numbers of float64."""
    with np.errstate(over="ignore", under="ignore"):
        plain = np.sqrt((share * values**2).sum(axis=0))
        largest = np.abs(values).max(axis=0, initial=0.0)
        unit = np.where(largest > 0, largest, 1.0)
        careful = unit * np.sqrt((share * (values / unit) ** 2).sum(axis=0))
    is_ordinary = (largest > 1e-100) & (largest < 1e100)
    deviations: np.ndarray = np.where(is_ordinary, plain, careful)
    return deviations
