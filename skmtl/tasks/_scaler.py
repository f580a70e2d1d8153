"""Regression targets to mean 0 and variance 1 over labelled training cells, and back."""

from __future__ import annotations

import numpy as np

from skmtl.tasks._encoder import Targets
from skmtl.tasks._task import Task


class TargetScaler:
    """Standardises regression columns, so that the losses of tasks are commensurable.

    A class column is left as it is.  A constant column keeps scale 1.

    Attributes
    ----------
    mean_ : ndarray of shape (n_columns,)
        Weighted mean over labelled cells, in the units of y; 0 for class columns.
    scale_ : ndarray of shape (n_columns,)
        Weighted standard deviation over labelled cells, in the units of y; 1 for class columns.
    is_constant_ : ndarray of shape (n_columns,), bool
        Which regression columns have no spread, or no label.
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
            Which columns are regression targets.

        Returns
        -------
        TargetScaler
            self.
        """
        is_number = np.array([not task.has_classes for task in tasks for _ in task.columns])
        total = weights.sum(axis=0)
        share = weights / np.where(total > 0, total, 1.0)
        mean = (share * targets.values).sum(axis=0)
        variance = (share * (targets.values - mean) ** 2).sum(axis=0)
        # Below the rounding error of the mean, a spread is no spread.
        constant = np.sqrt(variance) <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        self.is_constant_ = is_number & constant
        self.mean_ = np.where(is_number, mean, 0.0)
        self.scale_ = np.where(is_number & ~constant, np.sqrt(variance), 1.0)
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
        """Standardise regression columns.

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
