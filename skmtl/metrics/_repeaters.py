"""Estimators that repeat known predictions, for scikit-learn's scorers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from skmtl.tasks import TaskOutput


def repeater_of(output: TaskOutput, y: np.ndarray) -> Any:
    """Return an estimator that says what is known, whatever it is asked for.

    Parameters
    ----------
    output : TaskOutput
        The predictions.
    y : ndarray of shape (n_samples,) or (n_samples, n_columns)
        The labels that they will be compared with, as codes or numbers.

    Returns
    -------
    classifier or regressor
        For scikit-learn's scorers.
    """
    if not output.task.has_classes:
        return _NumberRegressor(output, y)
    if output.task.kind != "multilabel":
        return _CodeClassifier(output.values, output.predicted, int(y.max()) + 1)
    if y.ndim == 1:
        p = output.values[:, 0]
        return _CodeClassifier(np.column_stack([1 - p, p]), output.predicted[:, 0], 2)
    return _LabelsClassifier(output)


class _CodeClassifier(ClassifierMixin, BaseEstimator):
    """A classifier that repeats known probabilities and class codes."""

    def __init__(self, probabilities: np.ndarray, codes: np.ndarray, n_classes: int) -> None:
        n_classes = max(probabilities.shape[1], n_classes, 2)
        # Classes that training never saw have probability 0.
        missing = n_classes - probabilities.shape[1]
        self.probabilities = np.pad(probabilities, ((0, 0), (0, missing)))
        self.codes = codes
        self.classes_ = np.arange(n_classes)

    def predict(self, X: Any) -> np.ndarray:
        return self.codes

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.probabilities


class _LabelsClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of several columns, as scikit-learn knows them from its own."""

    def __init__(self, output: TaskOutput) -> None:
        self.output = output
        # A list of arrays tells scikit-learn that these are columns and no classes.
        self.classes_ = [np.arange(2)] * output.values.shape[1]

    def predict(self, X: Any) -> np.ndarray:
        return self.output.predicted

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.output.values


class _NumberRegressor(RegressorMixin, BaseEstimator):
    """A regressor that repeats known predictions."""

    def __init__(self, output: TaskOutput, y: np.ndarray) -> None:
        self.values = output.predicted[:, 0] if y.ndim == 1 else output.predicted

    def predict(self, X: Any) -> np.ndarray:
        return self.values
