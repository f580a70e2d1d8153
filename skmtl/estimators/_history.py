"""What happened in a fit, as frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def history_frame(estimator: Any) -> pd.DataFrame:
    """Return the records of all epochs.

    Parameters
    ----------
    estimator : estimator
        Fitted.

    Returns
    -------
    DataFrame
        A row per epoch, without skorch's own notes: batches, and which epoch was the best so
        far.

    Raises
    ------
    AttributeError
        If the estimator is not fitted, as for attributes that a fit sets.
    """
    if not hasattr(estimator, "net_"):
        raise AttributeError(f"This {type(estimator).__name__} is not fitted yet.")
    rows = [
        {k: v for k, v in row.items() if not isinstance(v, list | bool)}
        for row in estimator.net_.history
    ]
    return pd.DataFrame(rows).set_index("epoch")


def weights_frame(estimator: Any) -> pd.DataFrame:
    """Return the weights of the tasks by epoch.

    Parameters
    ----------
    estimator : estimator
        Fitted.

    Returns
    -------
    DataFrame of shape (n_epochs, n_tasks)
        NaN for a task that had no label in the epoch.

    Raises
    ------
    AttributeError
        If the estimator is not fitted.
    """
    history = history_frame(estimator)
    objective = estimator.net_.criterion_
    columns = {t.name: history.get(f"weight_{t.name}", np.nan) for t in estimator.tasks_}
    if objective.weighting.is_constant:
        constant = objective.weighting.weights[0].tolist()
        columns.update(zip(objective.layout.names, constant, strict=True))
    return pd.DataFrame(columns, index=history.index)
