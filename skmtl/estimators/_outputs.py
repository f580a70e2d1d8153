"""From the outputs of nets to probabilities and numbers of each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skmtl.estimators._blending import blend
from skmtl.estimators._calibration import with_temperatures
from skmtl.estimators._preprocessing import encode_features
from skmtl.features import FeatureEncoder
from skmtl.heads import Layout
from skmtl.tasks import Task, TaskOutput
from skmtl.training import torch_threads

#: Rows that a prediction encodes at once.
ENCODED_ROWS = 1 << 16


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
    outputs, _ = _run(estimator, X, with_members=False)
    return outputs


def compute_spreads(estimator: Any, X: Any) -> tuple[list[TaskOutput], list[np.ndarray]]:
    """Compute what the networks predict together, and how far they are from one another.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : DataFrame, ndarray or sparse matrix of shape (n_samples, ...)
        Features, checked.

    Returns
    -------
    outputs : list of TaskOutput
        As from :func:`compute_outputs`.
    spreads : list of ndarray
        Standard deviations over the networks, each counted as in the mean, of the shape of the
        output's values.

    Raises
    ------
    ValueError
        If there is one network alone.
    """
    outputs, members = _run(estimator, X, with_members=True)
    if len(members) == 1:
        raise ValueError(
            "`return_std=True` asks how far several networks are from one another, and this "
            "estimator trained one. Set `n_members=8`, or use `predict_interval`."
        )
    spreads = []
    for position in range(len(outputs)):
        values = np.stack([of_member[position].values for _, of_member in members])
        shares = np.array([by_task[position] for by_task, _ in members])
        mean = np.tensordot(shares, values, 1)
        spreads.append(np.sqrt(np.tensordot(shares, (values - mean) ** 2, 1)))
    return outputs, spreads


#: The share of a network in the predictions of each task, and what it says by itself.
_Member = tuple[np.ndarray, list[TaskOutput]]


def _run(estimator: Any, X: Any, *, with_members: bool) -> tuple[list[TaskOutput], list[_Member]]:
    """Return what all networks say together and, where asked for, each by itself."""
    is_blend = hasattr(estimator, "candidates_")
    parts = list(estimator.candidates_.values()) if is_blend else [estimator]
    temperatures = estimator._temperatures
    outputs: list[list[TaskOutput]] = []
    members: list[_Member] = []
    whole = ((1.0,) * len(estimator.tasks_),)
    shares: Any = estimator.candidate_weights_.to_numpy().T if is_blend else whole
    encoded: dict[int, Any] = {}
    for part, share in zip(parts, shares, strict=True):
        z, layout = _evaluate(part, X, encoded), part.net_.criterion_.layout
        outputs.append(outputs_of(part, layout, z))
        for i in range(len(z) if with_members else 0):
            alone = with_temperatures(outputs_of(part, layout, z[i : i + 1]), temperatures)
            members.append((np.asarray(share) / len(z), alone))
    together = blend(outputs, shares) if is_blend else outputs[0]
    return with_temperatures(together, temperatures), members


def _evaluate(estimator: Any, X: Any, encoded: dict[int, Any]) -> Tensor:
    """Return the outputs of a net, shape (member, output row, sample)."""
    with torch_threads(estimator.n_threads):
        network = estimator.net_.module_
        pieces = _encoded(estimator, X, network.evaluation_rows, encoded)
        z: Tensor = network.evaluate(pieces, X.shape[0])
        return z


def _encoded(estimator: Any, X: Any, n_rows: int, encoded: dict[int, Any]) -> Iterator[Any]:
    """Encode rows, in dense pieces of `n_rows`; what was encoded at once is kept for other nets."""
    preprocess, at_once = estimator._preprocess, X.shape[0]
    if isinstance(preprocess, FeatureEncoder):  # others may look at all rows together
        at_once = n_rows * max(1, ENCODED_ROWS // n_rows)
    if at_once >= X.shape[0]:
        if id(preprocess) not in encoded:
            encoded[id(preprocess)] = encode_features(preprocess, X)
        yield from _chunks(encoded[id(preprocess)], n_rows)
        return
    rows = X.iloc if hasattr(X, "iloc") else X
    for start in range(0, X.shape[0], at_once):
        yield from _chunks(encode_features(preprocess, rows[start : start + at_once]), n_rows)


def outputs_of(
    estimator: Any, layout: Layout, z: Tensor, *, has_gaps: bool = False
) -> list[TaskOutput]:
    """Turn a net's outputs into probabilities and numbers.

    Parameters
    ----------
    estimator : estimator
        With tasks and target scales.
    layout : Layout
        The tasks in the net.
    z : Tensor of shape (member, output row, sample)
        Outputs, on the CPU.
    has_gaps : bool, default=False
        Whether NaN stands for rows that a member does not speak of.

    Returns
    -------
    list of TaskOutput
        Means over the members, in the order of the estimator's tasks.
    """
    tasks, scaler = estimator.tasks_, estimator._scaler
    mean = np.nanmean if has_gaps else np.mean
    labelled, rows = estimator._encoder.labelled_, z.numpy()
    by_user: list[Any] = [None] * len(tasks)
    for group, columns in zip(layout.groups, layout.columns_of_groups, strict=True):
        # A view by NumPy, not by `group.outputs`: of a single row torch's take a tenth of the time.
        own = rows[:, group.rows.start : group.rows.start + group.n_tasks * group.width]
        own = own.reshape(len(rows), group.n_tasks, group.width, rows.shape[2])
        linked = group.head.link(torch.from_numpy(own)).numpy()
        # Mean over members, then (task, sample, output or class).
        linked = (linked[0] if len(linked) == 1 else mean(linked, axis=0)).transpose(0, 2, 1)
        positions = layout.order[group.tasks]
        has_classes = tasks[positions[0]].has_classes
        if not has_classes:  # all at once, for there may be hundreds
            linked = linked * scaler.scale_[columns] + scaler.mean_[columns]
        for user, values in zip(positions, np.ascontiguousarray(linked), strict=True):
            task = tasks[user]
            told = _with_one_class(task, values) if has_classes and task.n_classes < 2 else values
            known = told if labelled[task.name] else np.full_like(told, np.nan)
            by_user[user] = TaskOutput(task, known)
    return by_user


def _with_one_class(task: Task, values: np.ndarray) -> np.ndarray:
    """Return the probabilities where there is one label alone: nobody has the second one."""
    if task.kind == "multilabel":
        return np.zeros_like(values)
    return np.ones((len(values), task.n_classes))


def _chunks(X: Any, n_rows: int) -> Iterator[Any]:
    """Cut rows into dense pieces."""
    for start in range(0, X.shape[0], n_rows):
        chunk = X[start : start + n_rows]
        yield chunk.toarray() if sparse.issparse(chunk) else chunk
