"""One task of a multi-task estimator as a scikit-learn classifier or regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from skmtl._strategy import did_you_mean
from skmtl.tasks import label_order


class TaskView(BaseEstimator):
    """One task of a fitted multi-task estimator.

    Parameters
    ----------
    estimator : multi-task estimator
        Fitted.
    task : str
        Name of one of its tasks.
    """

    def __init__(self, estimator: Any, task: str) -> None:
        self.estimator = estimator
        self.task = task

    def fit(self, X: Any, y: Any = None) -> Any:
        """Refuse: the view is fitted by fitting the multi-task estimator.

        Parameters
        ----------
        X, y : object
            Ignored.

        Returns
        -------
        object
            Never.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            f"The view of task {self.task!r} cannot be fitted by itself. Fit the multi-task "
            "estimator, or freeze the view with sklearn.frozen.FrozenEstimator."
        )

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, where X had names."""
        return self.estimator.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether the multi-task estimator is fitted."""
        return hasattr(self.estimator, "net_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect."""
        tags = super().__sklearn_tags__()
        theirs = self.estimator.__sklearn_tags__().input_tags
        tags.input_tags.allow_nan = theirs.allow_nan
        tags.input_tags.sparse = theirs.sparse
        return tags

    @property
    def _position(self) -> int:
        return [task.name for task in self.estimator.tasks_].index(self.task)

    def _output(self, X: Any) -> Any:
        return self.estimator.predict_outputs(X)[self._position]


class TaskClassifier(ClassifierMixin, TaskView):
    """A class task of a fitted multi-task estimator.

    Parameters
    ----------
    estimator : multi-task estimator
        Fitted.
    task : str
        Name of one of its class tasks.
    """

    @property
    def classes_(self) -> np.ndarray:
        """Class labels in rising order, as scikit-learn's tools expect it, shape (n_classes,)."""
        labels = self._labels
        return labels[label_order(labels)]

    @property
    def _labels(self) -> np.ndarray:
        """The labels in the order of the task."""
        return _labels_of(self.estimator, self._position)

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : as for the estimator
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels in their own type.
        """
        output = self._output(X)
        if not output.is_known:
            return np.full(len(output.values), None, dtype=object)
        return self._labels[output.predicted]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : as for the estimator
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        values = self._output(X).values
        # There is no column of a task that never had a label.
        return values[:, label_order(self._labels)] if values.shape[1] else values


class TaskLabelsClassifier(ClassifierMixin, TaskView):
    """A multilabel task of a fitted multi-task estimator.

    Parameters
    ----------
    estimator : multi-task estimator
        Fitted.
    task : str
        Name of one of its multilabel tasks.
    """

    @property
    def classes_(self) -> list[np.ndarray]:
        """The two labels, once for each column, as scikit-learn's own classifiers have it."""
        n_columns = self.estimator.tasks_[self._position].n_columns
        return [_labels_of(self.estimator, self._position)] * n_columns

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : as for the estimator
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Labels in the type of the first column.
        """
        output = self._output(X)
        if not output.is_known:
            return np.full(output.values.shape, None, dtype=object)
        return self.classes_[0][output.predicted]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities of the second label.

        Parameters
        ----------
        X : as for the estimator
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Probabilities.
        """
        return self._output(X).values


class TaskRegressor(RegressorMixin, TaskView):
    """A task of numbers of a fitted multi-task estimator.

    Parameters
    ----------
    estimator : multi-task estimator
        Fitted.
    task : str
        Name of one of its regression, count or quantile tasks.
    """

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers.

        Parameters
        ----------
        X : as for the estimator
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_columns)
            In the units of y; of a quantile task the level nearest to 0.5,
            of two that are as near their mean.
        """
        values = self._output(X).predicted
        return values[:, 0] if values.shape[1] == 1 else values


def _labels_of(estimator: Any, position: int) -> np.ndarray:
    """Return labels in a type that scikit-learn's tools know: no objects that are booleans."""
    encoder = estimator._encoder
    labels = encoder.classes_of(encoder.tasks_[position])
    if labels.dtype == object and {type(label) for label in labels} <= {bool, np.bool_}:
        return labels.astype(bool)
    return labels


def view_of(estimator: Any, task: str) -> TaskView:
    """Make the view of a task.

    Parameters
    ----------
    estimator : multi-task estimator
        Fitted.
    task : str
        Name of the task.

    Returns
    -------
    TaskClassifier, TaskLabelsClassifier or TaskRegressor
        The view.

    Raises
    ------
    ValueError
        If there is no such task.
    """
    tasks = {item.name: item for item in estimator.tasks_}
    if task not in tasks:
        raise ValueError(
            f"Unknown task {task!r}. The tasks are {list(tasks)}.{did_you_mean(task, tasks)}"
        )
    if not tasks[task].has_classes:
        return TaskRegressor(estimator, task)
    if tasks[task].kind == "multilabel":
        return TaskLabelsClassifier(estimator, task)
    return TaskClassifier(estimator, task)
