"""Sample weights and class weights -> one weight per labelled cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skmtl._numbers import is_finite_number
from skmtl._strategy import did_you_mean
from skmtl.tasks import TargetEncoder, Targets, Task, column_spans, spread_sample_weight


def check_sample_weight(sample_weight: Any, n_samples: int, tasks: tuple[Task, ...]) -> np.ndarray:
    """Check sample weights to learn with, and spread them over the tasks.

    Parameters
    ----------
    sample_weight, n_samples, tasks : as for :func:`skmtl.tasks.spread_sample_weight`
        Weights, number of rows and tasks.

    Returns
    -------
    ndarray of shape (n_samples, n_tasks), float64
        Weights.

    Raises
    ------
    ValueError
        If something is wrong with them, or all are zero.
    """
    weights = spread_sample_weight(sample_weight, n_samples, tasks)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def cell_weights(
    sample_weight: np.ndarray, class_weight: Any, targets: Targets, encoder: TargetEncoder
) -> np.ndarray:
    """Weight every cell: sample weight times class weight, 0 where there is no label.

    The weights of each task are scaled to a mean of 1 over its labelled cells, so that
    neither kind of weight changes how tasks compare.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples, n_tasks)
        From :func:`check_sample_weight`.
    class_weight : None, "balanced", mapping, or mapping from tasks to these
        As the estimators take it.
    targets : Targets
        The rows.
    encoder : TargetEncoder
        Tasks and classes.

    Returns
    -------
    ndarray of shape (n_samples, n_columns), float64
        Weights.
    """
    by_task = _class_weights(class_weight, encoder.tasks_)
    weights = np.zeros_like(targets.values)
    for i, (task, span) in enumerate(
        zip(encoder.tasks_, column_spans(encoder.tasks_), strict=True)
    ):
        mask = targets.mask[:, span] & (sample_weight[:, i : i + 1] > 0)
        cells = np.where(mask, sample_weight[:, i : i + 1], 0.0)
        if by_task.get(task.name) is not None and mask.any():
            for j, codes in enumerate(targets.values[:, span].astype(np.intp).T):
                own = mask[:, j]
                factors = _factors(by_task[task.name], codes[own], cells[own, j], task)
                cells[:, j] *= factors[codes]
            mask = cells > 0
        if mask.any():
            weights[:, span] = cells / cells[mask].mean()
    return weights


def _class_weights(class_weight: Any, tasks: tuple[Task, ...]) -> dict[str, Any]:
    """Return what the user wants for each class task."""
    names = [task.name for task in tasks if task.has_classes]
    if class_weight is None:
        return {}
    _check_form(class_weight, "")
    if isinstance(class_weight, str):
        return dict.fromkeys(names, class_weight)
    if len(tasks) == 1 and len(names) == 1 and names[0] not in class_weight:
        return {names[0]: class_weight}
    for name in class_weight:
        if name not in names:
            raise ValueError(
                f"Parameter `class_weight` names {name!r}, which is not a class task. The class "
                f"tasks are {names}: weights of classes go by task, as in "
                f"{{{(names or ['task'])[0]!r}: {{...}}}}.{did_you_mean(name, names)}"
            )
    for name, of_task in class_weight.items():
        if of_task is not None:
            _check_form(of_task, f" of task {name!r}")
    return dict(class_weight)


def _check_form(class_weight: Any, whose: str) -> None:
    """Refuse what is neither "balanced" nor weights by class."""
    is_word = isinstance(class_weight, str)
    if class_weight == "balanced" if is_word else isinstance(class_weight, Mapping):
        return
    error = ValueError if is_word else TypeError
    raise error(
        f"Parameter `class_weight`{whose} must be None, 'balanced' or a mapping. Found "
        f"{class_weight!r}."
    )


def _factors(class_weight: Any, codes: np.ndarray, weights: np.ndarray, task: Task) -> np.ndarray:
    """Return the factor of each class, shape (n_classes,)."""
    factors = np.ones(task.n_classes)
    if isinstance(class_weight, str):
        # As scikit-learn has it, with a row of weight 2 counted twice.
        totals = np.bincount(codes, weights=weights, minlength=task.n_classes)
        present = totals > 0
        factors[present] = totals.sum() / (present.sum() * totals[present])
        return factors
    labels = list(task.classes)
    for label, weight in class_weight.items():
        if label not in labels:
            raise ValueError(
                f"Parameter `class_weight`: task {task.name!r} has no class {label!r}. Its "
                f"classes are {labels[:10]}."
            )
        if not is_finite_number(weight) or weight < 0:
            raise ValueError(
                f"Parameter `class_weight`: the weight of class {label!r} of task {task.name!r} "
                f"must be finite and at least 0. Found {weight!r}."
            )
        factors[labels.index(label)] = weight
    return factors
