"""From checked features to what the net says about each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from skmtl.estimators._preprocessing import encode_features
from skmtl.tasks import TaskOutput
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
    layout = estimator.net_.criterion_.layout
    by_user: dict[int, TaskOutput] = {}
    with torch_threads(estimator.n_threads):
        network = estimator.net_.module_
        encoded = encode_features(estimator._preprocess, X)
        z = network.evaluate(_chunks(encoded, network.evaluation_rows))
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


def _output(estimator: Any, position: int, columns: slice, values: np.ndarray) -> TaskOutput:
    task, scaler = estimator.tasks_[position], estimator._scaler
    if not task.has_classes:
        values = values * scaler.scale_[columns] + scaler.mean_[columns]
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
