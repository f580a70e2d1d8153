"""Regression targets in one network."""

from __future__ import annotations

from sklearn.base import RegressorMixin

from skmtl.estimators._base import BaseMultiTaskNet
from skmtl.estimators._docs import same_parameters


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

    score = BaseMultiTaskNet.score  # scikit-learn's own stops at missing labels
