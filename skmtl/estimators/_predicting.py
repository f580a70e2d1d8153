"""From checked features to what the net says about each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skmtl.estimators._blending import blend
from skmtl.estimators._calibration import with_temperatures
from skmtl.estimators._preprocessing import encode_features
from skmtl.estimators._view import TaskView, view_of
from skmtl.features import read_features
from skmtl.heads import Layout
from skmtl.metrics import TaskScoring
from skmtl.tasks import TargetEncoder, Targets, TaskOutput
from skmtl.training import torch_threads


def compute_outputs(estimator: Any, X: Any) -> list[TaskOutput]:
    """Run the net over rows, and turn its outputs into probabilities and numbers.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : DataFrame, ndarray or sparse matrix of shape (n_samples, ...)
        Features, checked.

    Returns
    -------
    list of TaskOutput
        In the order of the estimator's tasks.
    """
    if hasattr(estimator, "candidates_"):
        parts = [_of_net(part, X) for part in estimator.candidates_.values()]
        outputs = blend(parts, estimator.candidate_weights_.to_numpy().T)
    else:
        outputs = _of_net(estimator, X)
    return with_temperatures(outputs, estimator._temperatures)


def _of_net(estimator: Any, X: Any) -> list[TaskOutput]:
    with torch_threads(estimator.n_threads):
        network = estimator.net_.module_
        encoded = encode_features(estimator._preprocess, X)
        z = network.evaluate(_chunks(encoded, network.evaluation_rows))
        return outputs_of(estimator, estimator.net_.criterion_.layout, z)


def outputs_of(estimator: Any, layout: Layout, z: Tensor) -> list[TaskOutput]:
    """Turn a net's outputs into probabilities and numbers.

    Parameters
    ----------
    estimator : estimator
        With tasks and target scales.
    layout : Layout
        The tasks in the net.
    z : Tensor of shape (member, output row, sample)
        Outputs, on the CPU.

    Returns
    -------
    list of TaskOutput
        Means over the members, in the order of the estimator's tasks.
    """
    by_user: dict[int, TaskOutput] = {}
    for group in layout.groups:
        # Mean over members, then (task, sample, output or class).
        linked = group.head.link(group.outputs(z)).mean(0).transpose(1, 2).numpy()
        for i, values in enumerate(linked):
            position = group.tasks.start + i
            user, columns = layout.order[position], layout.columns[position]
            by_user[user] = _output(estimator, user, columns, values)
    return [by_user[i] for i in range(len(by_user))]


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


def _output(estimator: Any, position: int, columns: slice, values: np.ndarray) -> TaskOutput:
    task, scaler = estimator.tasks_[position], estimator._scaler
    if not task.has_classes:
        values = values * scaler.scale_[columns] + scaler.mean_[columns]
    elif task.kind == "multilabel":
        # With one label alone nobody has the second one.
        values = values if task.n_classes == 2 else np.zeros_like(values)
    elif task.n_classes < 2:
        values = np.ones((len(values), task.n_classes))
    if not estimator._encoder.labelled_[task.name]:
        values = np.full_like(values, np.nan)
    return TaskOutput(task, np.ascontiguousarray(values))


def _chunks(X: Any, n_rows: int) -> Iterator[Any]:
    """Cut rows into dense pieces."""
    for start in range(0, X.shape[0], n_rows):
        chunk = X[start : start + n_rows]
        yield chunk.toarray() if sparse.issparse(chunk) else chunk


class PredictionMixin:
    """What a fitted estimator says of rows."""

    net_: Any
    preprocess: Any
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
        check_is_fitted(self, "net_")
        X = read_features(self, X, reset=False, allow_nan=self.preprocess is not None)
        return compute_outputs(self, X)

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

    def predict(self, X: Any) -> Any:
        """Predict labels and numbers.

        Parameters
        ----------
        X : as in `fit`
            Features.

        Returns
        -------
        frame, series, array or tensor
            The container that y came in: a frame with y's names and types, an array of
            shape (n_samples, n_columns), or (n_samples,) for a single 1-D target.
        """
        outputs = self.predict_outputs(X)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return self._encoder.restore([output.predicted for output in outputs], index)

    @available_if(has_class_task)
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : as in `fit`
            Features.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_classes)
            By class task; columns in the order of ``classes_``.  For a single 1-D target
            the array alone.
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
            return next(iter(values.values()))
        return values
