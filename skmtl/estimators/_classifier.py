"""Classification targets in one network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from skmtl.estimators._base import BaseMultiTaskNet
from skmtl.estimators._docs import same_parameters
from skmtl.estimators._predicting import one_target
from skmtl.metrics import TaskScoring


@same_parameters
class MultiTaskNetClassifier(ClassifierMixin, BaseMultiTaskNet):
    """A neural network that learns several classification targets at once.

    Every column of y is a class task.  To scikit-learn it is a classifier, with lists for
    several targets as its own multi-output classifiers have them.  An integer ``cv`` then
    looks at y and refuses missing labels and mixed types: pass
    :class:`skmtl.model_selection.TaskStratifiedKFold` there.  See
    :class:`MultiTaskNetClassifierRegressor` for the objective.

    Examples
    --------
    >>> import numpy as np
    >>> from skmtl import MultiTaskNetClassifier
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> Y = (X[:, :2] > 0).astype(int)
    >>> est = MultiTaskNetClassifier(max_epochs=50, random_state=0).fit(X, Y)
    >>> [proba.shape for proba in est.predict_proba(X)]
    [(200, 2), (200, 2)]
    """

    _default_kind = "classification"

    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : as in `fit`
            Features.

        Returns
        -------
        list of ndarray of shape (n_samples, n_classes) or (n_samples, n_columns)
            One per task, columns in the order of ``classes_``.  Of a multilabel task the
            probability of the second class in each of its columns.  For a single 1-D target the
            array alone.
        """
        outputs = self.predict_outputs(X)
        return self._by_task({output.task.name: output.values for output in outputs})

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean accuracy over tasks, each on its labelled rows.

        Parameters
        ----------
        X, y : as in `fit`
            Rows to judge by.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.

        Returns
        -------
        float
            Between 0 and 1.
        """
        metrics = {task.name: "accuracy" for task in self.tasks_}
        return TaskScoring(metrics)(self, X, y, sample_weight)["score"]

    def _by_task(self, values: dict[str, np.ndarray]) -> Any:
        listed = list(values.values())
        if self._encoder.container_.n_dims == 1:
            return one_target(self._encoder, listed[0])
        return listed
