"""What a fitted estimator says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmtl.estimators._outputs import compute_outputs, compute_spreads
from skmtl.estimators._view import TaskView, view_of
from skmtl.features import read_features
from skmtl.metrics import TaskScoring
from skmtl.tasks import TargetEncoder, Targets, TaskOutput, label_order


def has_class_task(estimator: Any) -> bool:
    """Tell whether there are probabilities to predict, or may be once there is a fit.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.

    Returns
    -------
    bool
        Whether a task has classes.
    """
    if not hasattr(estimator, "tasks_"):
        return bool(estimator._default_kind != "regression")
    return any(task.has_classes for task in estimator.tasks_)


def has_number_task(estimator: Any) -> bool:
    """Tell whether there are numbers to predict, or may be once there is a fit.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.

    Returns
    -------
    bool
        Whether a task has no classes.
    """
    if not hasattr(estimator, "tasks_"):
        return bool(estimator._default_kind != "classification")
    return any(not task.has_classes for task in estimator.tasks_)


def has_quantile_task(estimator: Any) -> bool:
    """Tell whether there are quantiles to predict.

    Parameters
    ----------
    estimator : estimator
        Fitted or not; before a fit it is not known.

    Returns
    -------
    bool
        Whether a task is of kind "quantile".
    """
    return any(task.kind == "quantile" for task in getattr(estimator, "tasks_", ()))


def quantiles_of(outputs: list[TaskOutput]) -> dict[str, np.ndarray]:
    """Collect all levels of the quantile tasks.

    Parameters
    ----------
    outputs : list of TaskOutput
        From :func:`compute_outputs`.

    Returns
    -------
    dict of str to ndarray of shape (n_samples, n_levels)
        By quantile task, in the units of y, from the lowest level to the highest.
    """
    return {o.task.name: o.values for o in outputs if o.task.kind == "quantile"}


def one_target(encoder: TargetEncoder, values: np.ndarray) -> np.ndarray:
    """Bring classes into rising order, where the estimator is a classifier of a single target.

    Parameters
    ----------
    encoder : TargetEncoder
        Fitted to a 1-D target.
    values : ndarray of shape (..., n_classes), or of the shape of numbers
        Classes or what is said of each, in the order of the task.

    Returns
    -------
    ndarray
        In the order that scikit-learn's tools expect; what is no class task's as it is.
    """
    task = encoder.tasks_[0]
    if not task.has_classes or values.shape[-1] != task.n_classes:
        return values
    return values[..., label_order(encoder.classes_of(task))]


class PredictionMixin:
    """What a fitted estimator says of rows."""

    net_: Any
    _preprocess: Any
    _encoder: TargetEncoder

    def predict_outputs(self, X: Any) -> list[TaskOutput]:
        """Predict all tasks as numbers, in one forward pass.

        What `predict`, `predict_proba` and the task scorers are made of.

        Parameters
        ----------
        X : as in `fit`
            Features.

        Returns
        -------
        list of TaskOutput
            Class probabilities, or numbers in the units of y, in the order of ``tasks_``.
        """
        return compute_outputs(self, self._read(X))

    def _read(self, X: Any) -> Any:
        if not hasattr(self, "net_"):  # quicker, and so are predictions of single rows
            check_is_fitted(self, "net_")
        return read_features(self, X, reset=False, allow_nan=self._preprocess is not None)

    def encode_targets(self, y: Any) -> Targets:
        """Encode targets for scoring: a class that `fit` never saw gets the next free code.

        Parameters
        ----------
        y : as in `fit`
            Targets.

        Returns
        -------
        Targets
            Values and mask, shape (n_samples, n_columns).
        """
        check_is_fitted(self, "net_")
        return self._encoder.transform(y, unseen="code")

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict labels and numbers.

        Parameters
        ----------
        X : as in `fit`
            Features.
        return_std : bool, default=False
            Whether to tell, too, how far the networks of the ensemble are from one another (see
            `n_members`).

        Returns
        -------
        y : frame, series, array or tensor
            The container that y came in: a frame with y's names and types, an array of
            shape (n_samples, n_columns), or (n_samples,) for a single 1-D target.
        std : dict of str to ndarray
            With `return_std` alone.  Standard deviations over the networks, each counted as in
            the mean, by task: of numbers in the units of y, shape (n_samples,) or, of several
            columns, (n_samples, n_columns); of class probabilities as `predict_proba` has them,
            (n_samples, n_classes); of quantiles (n_samples, n_levels).  NaN for a task that
            never had a label.  For a single 1-D target the array alone.

        Raises
        ------
        ValueError
            If `return_std` is asked of a single network.

        Notes
        -----
        The spread tells where the networks know little, not how far labels scatter: an interval
        that holds the truth with a given frequency comes from :meth:`predict_interval`.

        References
        ----------
        B. Lakshminarayanan, A. Pritzel, C. Blundell: Simple and Scalable Predictive Uncertainty
        Estimation using Deep Ensembles, NeurIPS 2017.
        """
        rows = self._read(X)
        if return_std:
            outputs, spreads = compute_spreads(self, rows)
        else:
            outputs, spreads = compute_outputs(self, rows), []
        index = X.index if isinstance(X, pd.DataFrame) else None
        y = self._encoder.restore([output.predicted for output in outputs], index)
        if not return_std:
            return y
        listed = zip(outputs, spreads, strict=True)
        return y, self._by_task({o.task.name: s[:, 0] if o.is_column else s for o, s in listed})

    @available_if(has_class_task)
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : as in `fit`
            Features.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_classes) or (n_samples, n_columns)
            By class task; columns in the order of ``classes_``.  Of a multilabel task the
            probability of the second class in each of its columns.  NaN, or no column, for a task
            without any label.  For a single 1-D target the array alone.
        """
        outputs = self.predict_outputs(X)
        return self._by_task({o.task.name: o.values for o in outputs if o.task.has_classes})

    @available_if(has_quantile_task)
    def predict_quantiles(self, X: Any) -> Any:
        """Predict all levels of the quantile tasks.

        Parameters
        ----------
        X : as in `fit`
            Features.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_levels)
            By quantile task, in the units of y, from the lowest level to the highest; they
            never cross.  For a single 1-D target the array alone.
        """
        return self._by_task(quantiles_of(self.predict_outputs(X)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean skill over tasks: ``1 - loss / loss of the best constant``.

        R2 for regression tasks, D2 log loss for class tasks, D2 of the Poisson deviance for
        counts and of the pinball loss for quantiles, see :func:`skmtl.metrics.skill_score`.  Tasks without a label in y are left out.

        Parameters
        ----------
        X, y : as in `fit`
            Rows to judge by.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.

        Returns
        -------
        float
            1 is perfect, 0 as good as the mean and the class shares.
        """
        check_is_fitted(self, "net_")
        check_consistent_length(X, sample_weight)
        return TaskScoring()(self, X, y, sample_weight)["score"]

    def task_view(self, task: str) -> TaskView:
        """Return one task as a fitted scikit-learn classifier or regressor.

        For tools that know a single target: ``permutation_importance``,
        ``partial_dependence``, ``CalibratedClassifierCV(FrozenEstimator(view))``.

        Parameters
        ----------
        task : str
            Name of the task.

        Returns
        -------
        TaskClassifier or TaskRegressor
            It reads this estimator and is fitted as long as this one is.

        Raises
        ------
        ValueError
            If there is no such task.
        """
        check_is_fitted(self, "net_")
        return view_of(self, task)

    def _by_task(self, values: dict[str, np.ndarray]) -> Any:
        """Return what belongs to class tasks by name, or the one thing for a 1-D target."""
        if self._encoder.container_.n_dims == 1:
            return one_target(self._encoder, next(iter(values.values())))
        return values
