"""Weights by which the predictions of several networks are averaged, task by task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skmtl.tasks import Targets, Task, TaskOutput, column_spans

#: The largest number of draws of the selection.
MOST_DRAWS = 20

#: Labels that it takes to weigh as much as the belief in the first network.
TRUST = 30


def blend(outputs: Sequence[list[TaskOutput]], weights: np.ndarray) -> list[TaskOutput]:
    """Average what several networks say.

    Parameters
    ----------
    outputs : sequence of list of TaskOutput
        By network, in the order of the tasks.
    weights : ndarray of shape (n_networks, n_tasks)
        Of each task they sum to 1.

    Returns
    -------
    list of TaskOutput
        Averages of probabilities and of numbers.
    """
    averaged = []
    for of_networks, of_task in zip(zip(*outputs, strict=True), weights.T, strict=True):
        values = sum(w * o.values for w, o in zip(of_task, of_networks, strict=True) if w > 0)
        averaged.append(TaskOutput(of_networks[0].task, np.asarray(values)))
    return averaged


def select_weights(
    outputs: Sequence[list[TaskOutput]], targets: Targets, weights: np.ndarray
) -> np.ndarray:
    """Choose for each task the average with the least loss on held-out rows.

    Greedy selection with replacement: network after network is added to the average, each time
    the one that lowers the loss most, and the best average on the way is kept.  With n labels, of
    classes twice those outside of the largest, this counts ``n / (n + 30)``, and the rest is the
    first network's: few labels choose by chance.

    Parameters
    ----------
    outputs : sequence of list of TaskOutput
        What each network says of the rows that it did not learn from.
    targets : Targets
        Their labels.
    weights : ndarray of shape (n_rows, n_columns)
        Weights of the cells, 0 where there is no label.

    Returns
    -------
    ndarray of shape (n_networks, n_tasks)
        Of each task they sum to 1.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes: Ensemble Selection from Libraries of
    Models, ICML 2004, sections 2.1 and 2.2.
    """
    chosen = np.zeros((len(outputs), len(outputs[0])))
    chosen[0] = 1.0
    spans = column_spans(output.task for output in outputs[0])
    for position, of_networks in enumerate(zip(*outputs, strict=True)):
        task, span = of_networks[0].task, spans[position]
        known = weights[:, span] > 0
        rows = known.any(axis=1)
        if not rows.any() or not all(output.is_known for output in of_networks):
            continue
        values = np.stack([output.values[rows] for output in of_networks])
        cells = weights[rows, span]
        y = np.where(known, targets.values[:, span], 0.0)[rows]
        n_labels = _told_by(task, y)
        share = n_labels / (n_labels + TRUST)
        chosen[:, position] *= 1 - share
        chosen[:, position] += share * _selected(task, values, y, cells)
    return chosen


def _told_by(task: Task, y: np.ndarray) -> float:
    """Return how many labels there are that tell something."""
    if not task.has_classes or task.kind == "multilabel":
        return len(y)
    return 2.0 * (len(y) - np.unique(y, return_counts=True)[1].max())


def _selected(task: Task, values: np.ndarray, y: np.ndarray, cells: np.ndarray) -> np.ndarray:
    counts, total = np.zeros(len(values)), np.zeros_like(values[0])
    best, least = np.eye(len(values))[0], np.inf
    for n_drawn in range(1, MOST_DRAWS + 1):
        losses = _losses(task, (total + values) / n_drawn, y, cells)
        drawn = int(np.argmin(losses))
        counts[drawn] += 1
        total = total + values[drawn]
        if losses[drawn] < least:
            best, least = counts / n_drawn, losses[drawn]
    return best


def _losses(task: Task, values: np.ndarray, y: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return the summed loss of each network, shape (n_networks,).

    `values` has shape (network, row, output), `y` and `cells` (row, column).
    """
    least = np.finfo(np.float64).tiny
    if task.kind == "multilabel":
        own = np.where(y > 0, values, 1 - values)
        by_cell = -np.log(own.clip(1e-15))
    elif task.has_classes:
        own = np.take_along_axis(values, y.astype(np.intp)[None], axis=2)
        by_cell = -np.log(own.clip(1e-15))
    elif task.kind == "count":
        by_cell = values - y * np.log(values.clip(least))
    elif task.kind == "quantile":
        levels, beyond = np.asarray(task.quantiles), y - values
        by_cell = np.maximum(levels * beyond, (levels - 1) * beyond).sum(axis=2, keepdims=True)
    else:
        total = np.maximum(cells.sum(axis=0), least)
        mean = (cells * y).sum(axis=0) / total  # of labelled cells: y is 0 elsewhere
        spread = (cells * (y - mean) ** 2).sum(axis=0) / total
        by_cell = (values - y) ** 2 / np.where(spread > 0, spread, 1.0)
    summed: np.ndarray = (by_cell * cells).sum(axis=(1, 2))
    return summed
