"""Predictions beside labels, and what a metric says of them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import get_scorer, get_scorer_names

from skmtl._strategy import did_you_mean
from skmtl.metrics._repeaters import repeater_of
from skmtl.metrics._skill import skill_score
from skmtl.tasks import TaskOutput, column_spans, spread_sample_weight

#: The metric behind ``score``: R2 for regression tasks, D2 log loss for class tasks, and so on.
SKILL = "skill"

#: How scikit-learn's scorers of numbers are called; on class codes without an order they would
#: be nonsense.
_OF_NUMBERS = (
    *("r2", "explained_variance", "max_error", "neg_max_error", "neg_mean_", "neg_median_"),
    *("neg_root_mean_", "d2_absolute_", "d2_pinball_", "d2_tweedie_"),
)


#: How functions of scikit-learn's end that are smaller for better predictions.
_OF_ERRORS = ("_error", "_loss", "_deviance")

#: Scorers of probabilities that take the columns of a multilabel task for one distribution.
_OF_ONE_LABEL = ("neg_log_loss", "d2_log_loss_score", "neg_brier_score", "d2_brier_score")


class ScoredRows:
    """Outputs, targets and weights of some rows: one forward pass for all tasks."""

    def __init__(self, estimator: Any, X: Any, y_true: Any, sample_weight: Any) -> None:
        self.outputs: list[TaskOutput] = estimator.predict_outputs(X)
        self.targets = estimator.encode_targets(y_true)
        if len(self.targets) != len(self.outputs[0].values):
            raise ValueError(
                f"X and y must have the same number of rows. Found "
                f"{len(self.outputs[0].values)} and {len(self.targets)}."
            )
        tasks = tuple(output.task for output in self.outputs)
        self.weights = None
        if sample_weight is not None:
            self.weights = spread_sample_weight(sample_weight, len(self.targets), tasks)
        self.columns = column_spans(tasks)

    def score(self, position: int, metric: Any) -> float:
        task = self.outputs[position].task
        if metric == SKILL:
            # That of a multilabel task takes single cells, all other metrics whole rows.
            return self._skill(position, by_cell=task.kind == "multilabel")
        if not isinstance(metric, str) and not callable(metric):
            raise TypeError(
                f"The metric of task {task.name!r} must be a name, a scorer or a function, one of them. "
                f"Found {metric!r}."
            )
        is_nominal = task.has_classes and task.kind != "ordinal"
        if is_nominal and str(metric).startswith(_OF_NUMBERS):
            raise ValueError(
                f"Metric {metric!r} is for numbers, but task {task.name!r} is {task.kind}. If it "
                f"is a number, declare it in the estimator: tasks={{{task.name!r}: 'regression'}}."
            )
        kept = self._labelled(position, by_cell=False)
        if kept is None:
            return np.nan
        output, y, weights = kept
        y = y[:, 0] if y.shape[1] == 1 else y
        y = y.astype(np.intp) if task.has_classes else y
        options = {} if weights is None else {"sample_weight": weights}
        if callable(metric) and not hasattr(metric, "_score_func"):
            name, module = (getattr(metric, n, "") for n in ("__name__", "__module__"))
            if name.endswith(_OF_ERRORS) and module.startswith("sklearn."):
                scorer = f"'neg_{name}'" if f"neg_{name}" in get_scorer_names() else "a scorer"
                raise ValueError(
                    f"The metric of task {task.name!r} is {name}, which falls as predictions get "
                    f"better. Give {scorer}, or make_scorer({name}, greater_is_better=False)."
                )
            takes = inspect.signature(metric).parameters
            options = options if "sample_weight" in takes else {}
            return float(metric(y, repeater_of(output, y).predict(None), **options))
        try:
            if y.ndim == 2 and task.has_classes and str(metric).startswith(_OF_ONE_LABEL):
                columns = zip(output.values.T, y.T, strict=True)
                alone = [(TaskOutput(task, p[:, None]), labels) for p, labels in columns]
                return float(np.mean([_scored(metric, *column, options) for column in alone]))
            return _scored(metric, output, y, options)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"Metric {metric!r} failed on task {task.name!r} ({task.kind}): {error}"
                f"{_kin_of(metric) if task.has_classes else ''}{_did_you_mean(metric)}"
            ) from error

    def _skill(self, position: int, *, by_cell: bool) -> float:
        kept = self._labelled(position, by_cell=by_cell)
        if kept is None:
            return np.nan
        output, y, weights = kept
        return skill_score(output, y[:, 0] if y.shape[1] == 1 else y, weights)

    def _labelled(
        self, position: int, *, by_cell: bool
    ) -> tuple[TaskOutput, np.ndarray, np.ndarray | None] | None:
        """Return outputs, targets and weights of the labelled rows; None if there are none.

        By cell, a row counts if it has one label, and cells without one are NaN.
        """
        output, columns = self.outputs[position], self.columns[position]
        values, mask = self.targets.values[:, columns], self.targets.mask[:, columns]
        labelled = mask.any(axis=1) if by_cell else mask.all(axis=1)
        weights = self.weights
        if weights is not None:
            weights = weights[:, position]
            labelled &= weights > 0
            weights = weights[labelled]
        if not labelled.any() or not output.is_known:
            return None
        y = np.where(mask, values, np.nan)[labelled]
        if output.task.has_classes and np.nanmin(y) >= output.task.n_classes:
            return None  # no label of a class that `fit` has seen
        return TaskOutput(output.task, output.values[labelled]), y, weights


def _scored(metric: Any, output: TaskOutput, y: np.ndarray, options: dict[str, Any]) -> float:
    """Score what is known by one of scikit-learn's scorers, or its name."""
    scorer, view = get_scorer(metric), repeater_of(output, y)
    judges = "predict_proba" in np.atleast_1d(scorer._response_method)
    classes = getattr(view, "classes_", None)
    takes = inspect.signature(scorer._score_func).parameters
    if judges and "labels" in takes and isinstance(classes, np.ndarray):
        # Else a class without a row here would be an error.
        options = {"labels": classes, **options}
    with sklearn.config_context(enable_metadata_routing=True):  # `labels` is metadata
        return float(scorer(view, np.zeros((len(y), 1)), y, **options))


def _did_you_mean(metric: Any) -> str:
    names = [SKILL, *get_scorer_names()]
    return did_you_mean(metric, names) if isinstance(metric, str) and metric not in names else ""


def _kin_of(metric: Any) -> str:
    """Name the scorers that another average of the same metric has."""
    kin = [name for name in get_scorer_names() if name.startswith(f"{metric}_")]
    return f" There are also {kin}." if kin else ""
