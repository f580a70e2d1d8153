"""Scorers for several tasks: one callable, one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from skmtl._numbers import is_finite_number
from skmtl._strategy import did_you_mean
from skmtl.metrics._rows import SKILL, ScoredRows


class TaskScoring(BaseEstimator):
    """Scores several tasks, each by its own metric, from one forward pass.

    Pass it as ``scoring=`` to ``cross_validate``, ``GridSearchCV`` and
    ``HalvingGridSearchCV``, there with ``refit="score"``.  Rows without a label are left
    out task by task; class labels may be of any type (metrics see codes 0..k-1, so that
    ``"f1"`` judges the second class).

    Parameters
    ----------
    metrics : mapping of str to str or callable, default=None
        A scorer for each task to be scored: a scikit-learn scorer name, ``"skill"`` (see
        :func:`skill_score`), or a callable ``metric(y_true, y_pred)``, larger being
        better, which gets `sample_weight` if it takes it.  None: the skill of every task.
    weights : mapping of str to float, default=None
        Weights of the tasks in the mean.  None: equal.

    Examples
    --------
    >>> from skmtl.metrics import TaskScoring
    >>> TaskScoring({"price": "r2", "sold": "roc_auc"})
    TaskScoring(metrics={'price': 'r2', 'sold': 'roc_auc'})
    """

    def __init__(
        self,
        metrics: Mapping[str, str | Callable[..., float]] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.metrics = metrics
        self.weights = weights

    def __call__(
        self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None
    ) -> dict[str, float]:
        """Score all tasks.

        Parameters
        ----------
        estimator : estimator
            A fitted multi-task estimator, or a Pipeline or search that ends in one.
        X : features
            Of shape (n_samples, n_features).
        y_true : targets
            In any supported container.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.

        Returns
        -------
        dict of str to float
            A score per task, NaN for a task without a label here, and their mean over the
            others under ``"score"``.  A task that is called "score" goes by "task_score", with
            "task_" before it as often as no other task has that name.

        Raises
        ------
        TypeError
            If `metrics` is no mapping, a metric is neither a name nor a function, or the estimator
            is not of skmtl.
        ValueError
            If a task is unknown, a weight is no number of at least 0, X and y differ in their rows, or
            a metric fails: the message names task and metric.
        """
        estimator, X = _unwrap(estimator, X)
        tasks = {task.name: i for i, task in enumerate(estimator.tasks_)}
        metrics = dict.fromkeys(tasks, SKILL) if self.metrics is None else self.metrics
        if not isinstance(metrics, Mapping):
            raise TypeError(
                "Parameter `metrics` must be a mapping from task names to metrics. Found "
                f"`metrics = {metrics!r}`."
            )
        for name in [*metrics, *(self.weights or {})]:
            _check_task(name, tasks)
        for name, weight in (self.weights or {}).items():
            _check_weight(name, weight)
        rows = ScoredRows(estimator, X, y_true, sample_weight)
        scores = {name: rows.score(tasks[name], metric) for name, metric in metrics.items()}
        mean = self._mean(scores)
        return {_key(name, tasks): score for name, score in scores.items()} | {"score": mean}

    def score(
        self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None
    ) -> dict[str, float]:
        """Score all tasks; the same as calling the object.

        Parameters
        ----------
        estimator : estimator
            A fitted multi-task estimator, or a Pipeline or search that ends in one.
        X : features
            Of shape (n_samples, n_features).
        y_true : targets
            In any supported container.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.  This method carries their metadata routing request.

        Returns
        -------
        dict of str to float
            A score per task, and their mean under ``"score"``.
        """
        return self(estimator, X, y_true, sample_weight)

    def _accept_sample_weight(self) -> bool:
        return True  # asked by scikit-learn's searches

    def _mean(self, scores: dict[str, float]) -> float:
        weights = {name: (self.weights or {}).get(name, 1.0) for name in scores}
        counted = {name: w for name, w in weights.items() if w != 0 and not np.isnan(scores[name])}
        if not counted:
            return np.nan
        return float(np.average([scores[n] for n in counted], weights=list(counted.values())))


class TaskScorer(BaseEstimator):
    """Scores one task; made by :func:`task_scorer`.

    Parameters
    ----------
    task : str
        Name of the task.
    metric : str or callable, default="skill"
        A scikit-learn scorer name, ``"skill"``, or ``metric(y_true, y_pred)``.
    """

    def __init__(self, task: str, metric: str | Callable[..., float] = SKILL) -> None:
        self.task = task
        self.metric = metric

    def __call__(self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None) -> float:
        """Score the task.

        Parameters
        ----------
        estimator : estimator
            A fitted multi-task estimator, or a Pipeline or search that ends in one.
        X : features
            Of shape (n_samples, n_features).
        y_true : targets
            In any supported container.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.

        Returns
        -------
        float
            Larger is better.

        Raises
        ------
        TypeError, ValueError
            As :class:`TaskScoring` does.
        """
        scores = TaskScoring({self.task: self.metric})(estimator, X, y_true, sample_weight)
        own, _ = scores.values()
        return own

    def score(self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None) -> float:
        """Score the task; the same as calling the object.

        Parameters
        ----------
        estimator : estimator
            A fitted multi-task estimator, or a Pipeline or search that ends in one.
        X : features
            Of shape (n_samples, n_features).
        y_true : targets
            In any supported container.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights.  This method carries their metadata routing request.

        Returns
        -------
        float
            Larger is better.
        """
        return self(estimator, X, y_true, sample_weight)

    def _accept_sample_weight(self) -> bool:
        return True


def task_scorer(task: str, metric: str | Callable[..., float] = SKILL) -> TaskScorer:
    """Make a scorer of one task that returns a number.

    Use it where scikit-learn wants one: ``cross_val_score``, ``permutation_importance``,
    ``learning_curve``, ``SequentialFeatureSelector``.

    Parameters
    ----------
    task : str
        Name of the task.
    metric : str or callable, default="skill"
        A scikit-learn scorer name, ``"skill"`` (see :func:`skill_score`), or a callable
        ``metric(y_true, y_pred)``, larger being better.

    Returns
    -------
    TaskScorer
        ``scorer(estimator, X, y)`` returns a float.

    Examples
    --------
    >>> from skmtl.metrics import task_scorer
    >>> task_scorer("sold", "roc_auc")
    TaskScorer(metric='roc_auc', task='sold')
    """
    return TaskScorer(task, metric)


def _key(task: str, tasks: Mapping[str, Any]) -> str:
    """Name the score of a task: ``"score"`` is the mean."""
    if task != "score":
        return task
    key = "task_score"
    while key in tasks:
        key = f"task_{key}"
    return key


def _unwrap(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Walk through Pipelines and searches to the multi-task estimator, transforming X."""
    while not hasattr(estimator, "predict_outputs"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator.steps) > 1 else X
            estimator = estimator[-1]
        else:
            raise TypeError(
                "Task scorers need a multi-task estimator of skmtl, or a Pipeline or search that "
                f"ends in one. Found {type(estimator).__name__}."
            )
    return estimator, X


def _check_weight(name: str, weight: Any) -> None:
    if not is_finite_number(weight) or weight < 0:
        raise ValueError(
            f"Parameter `weights`: the weight of task {name!r} must be a finite number of at least 0. "
            f"Found {weight!r}."
        )


def _check_task(name: str, tasks: Mapping[str, int]) -> None:
    if name not in tasks:
        raise ValueError(
            f"Unknown task {name!r}. The tasks are {list(tasks)}.{did_you_mean(name, tasks)}"
        )
