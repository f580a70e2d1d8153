"""What a model says about one task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skmtl.tasks._task import Task


def label_order(labels: np.ndarray) -> np.ndarray:
    """Return the places of labels in rising order, which scikit-learn expects of ``classes_``.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
        In the order of the task: that of a category type, or as declared.

    Returns
    -------
    ndarray of shape (n_classes,), int
        ``labels[label_order(labels)]`` is sorted; the order as it is where labels cannot be.
    """
    try:
        return np.argsort(labels, kind="stable")
    except TypeError:
        return np.arange(len(labels))


@dataclass(frozen=True)
class TaskOutput:
    """Predictions for one task, as numbers.

    Parameters
    ----------
    task : Task
        The task.
    values : ndarray
        Of a class task: probabilities, shape (n_samples, n_classes); of a multilabel task
        those of its second label, shape (n_samples, n_columns).  Of a task of numbers:
        numbers in the units of y, shape (n_samples, n_columns); of a quantile task all
        levels, shape (n_samples, n_levels).  NaN, or without a column, if the task never had
        a label.
    """

    task: Task
    values: np.ndarray

    @property
    def is_known(self) -> bool:
        """Whether the task had labels to learn from; else it is predicted as missing."""
        return self.values.shape[1] > 0 and not np.isnan(self.values).any()

    @property
    def is_column(self) -> bool:
        """Whether there is one number a row: no classes, levels or further columns."""
        task = self.task
        return task.n_columns == 1 and not task.has_classes and task.kind != "quantile"

    @property
    def probabilities(self) -> np.ndarray:
        """Of a class task: probabilities by column, shape (n_samples, n_columns, n_classes)."""
        if self.task.kind == "multilabel":
            return np.stack([1 - self.values, self.values], axis=2)
        return self.values[:, None]

    @property
    def predicted(self) -> np.ndarray:
        """Class codes, shape (n_samples,), or numbers, shape (n_samples, n_columns).

        Of a multilabel task the codes 0 and 1, shape (n_samples, n_columns); of a quantile
        task the level nearest to 0.5, of two that are as near their mean.
        """
        if self.task.kind == "quantile":
            return self.values[:, self.task.middle].mean(axis=1, keepdims=True)
        if self.task.kind == "multilabel":
            return (self.values > 0.5).astype(np.intp)
        if not self.task.has_classes:
            return self.values
        if self.task.n_classes == 0:
            return np.zeros(len(self.values), dtype=np.intp)
        return self.values.argmax(axis=1)
