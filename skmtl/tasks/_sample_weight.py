"""Sample weights as they come -> one for each row and task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skmtl._frames import frame_to_pandas, is_frame
from skmtl._strategy import did_you_mean
from skmtl.tasks._task import Task


def spread_sample_weight(sample_weight: Any, n_samples: int, tasks: tuple[Task, ...]) -> np.ndarray:
    """Check sample weights and spread them over the tasks.

    Parameters
    ----------
    sample_weight : None, array-like of shape (n_samples,) or (n_samples, n_tasks), or frame
        Weights, at least 0.  The columns of a frame are found by task name.
    n_samples : int
        Number of rows.
    tasks : tuple of Task
        The tasks.

    Returns
    -------
    ndarray of shape (n_samples, n_tasks), float64
        Weights.

    Raises
    ------
    ValueError
        If the shape is wrong, a column has no task or a task no column, or weights are negative
        or not finite.
    TypeError
        For a dict, which cross-validation would not split.
    """
    if sample_weight is None:
        return np.ones((n_samples, len(tasks)))
    if isinstance(sample_weight, Mapping):
        raise TypeError(
            "Sample weights in a dict would not be split in cross-validation. Pass a frame with "
            "one column per task, or an array of shape (n_samples, n_tasks)."
        )
    if is_frame(sample_weight):
        sample_weight = _columns_by_task(frame_to_pandas(sample_weight), tasks)
    if isinstance(sample_weight, np.ma.MaskedArray):
        sample_weight = np.ma.filled(sample_weight.astype(np.float64), np.nan)
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "biufO":
        raise ValueError(f"Sample weights must be real numbers. Found an array of {weights.dtype}.")
    try:
        weights = weights.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Sample weights must be real numbers. Found {sample_weight!r:.80}."
        ) from error
    if weights.ndim == 0:
        weights = np.full(n_samples, weights)
    if weights.shape not in {(n_samples,), (n_samples, len(tasks))}:
        raise ValueError(
            f"Sample weights must have shape ({n_samples},) or ({n_samples}, {len(tasks)}), one "
            f"column for each task. Found shape {weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            "Sample weights must be finite and at least 0. Found "
            f"{'a negative' if (weights < 0).any() else 'a NaN or infinite'} weight."
        )
    return weights if weights.ndim == 2 else np.repeat(weights[:, None], len(tasks), axis=1)


def _columns_by_task(frame: pd.DataFrame, tasks: tuple[Task, ...]) -> pd.DataFrame:
    names = [task.name for task in tasks]
    by_name = {str(label): label for label in frame.columns}
    if frame.shape[1] == 1 and len(names) == 1:
        return frame
    for name in by_name:
        if name not in names:
            raise ValueError(
                f"Sample weights in a frame have a column per task. Found column {name!r}; the "
                f"tasks are {names}.{did_you_mean(name, names)}"
            )
    if len(by_name) < len(names):
        missing = [name for name in names if name not in by_name]
        raise ValueError(f"Sample weights in a frame lack columns for the tasks {missing}.")
    return frame[[by_name[name] for name in names]]
