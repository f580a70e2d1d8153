"""Regression targets in one network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from skmtl.estimators._base import BaseMultiTaskNet
from skmtl.estimators._docs import same_parameters
from skmtl.metrics import TaskScoring


@same_parameters
class MultiTaskNetRegressor(RegressorMixin, BaseMultiTaskNet):
    """A neural network that learns several regression targets at once.

    Every column of y is a regression task, whatever its values.  To scikit-learn it is a
    regressor.  See :class:`MultiTaskNetClassifierRegressor` for the objective.

    Examples
    --------
    >>> import numpy as np
    >>> from skmtl import MultiTaskNetRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> Y = np.column_stack([X[:, 0], X[:, 1] - X[:, 0]])
    >>> est = MultiTaskNetRegressor(max_epochs=50, random_state=0).fit(X, Y)
    >>> est.predict(X).shape
    (200, 2)
    """

    _default_kind = "regression"

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean R2 over tasks, each on its labelled rows.

        Parameters
        ----------
        X, y : as in `fit`
            Rows to judge by.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.

        Returns
        -------
        float
            1 is perfect, 0 as good as the mean.
        """
        score = TaskScoring()(self, X, y, sample_weight)["score"]
        return float(np.float64(score))
