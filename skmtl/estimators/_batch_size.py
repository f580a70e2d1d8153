"""How many rows a batch has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skmtl.training import Network, pays_by_task

#: Batch size by number of training rows: (rows below, size).
BATCH_SIZES = ((1_500, 32), (4_000, 64), (8_000, 128))
LARGEST_BATCH = 256

#: Where nets read the rows of their own labels: batches of an epoch, and labels of the largest task
#: in a batch, at least.
LEAST_BATCHES, LEAST_LABELS = 10, 4


def choose_batch_size(
    estimator: Any, network: Network, n_rows: int, most_labels: Callable[[], int]
) -> int:
    """Turn ``batch_size`` into a number.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    network : Network
        To be trained.
    n_rows : int
        Number of training rows.
    most_labels : callable
        Returns how many of them have a label of the task that has most.

    Returns
    -------
    int
        Rows of a batch at most, or -1 for all.
    """
    if not isinstance(estimator.batch_size, str):
        return int(estimator.batch_size)
    size = batch_size_for(n_rows)
    if network.reads_by_task and pays_by_task(n_rows, n_labelled := most_labels()):
        size = batch_size_by_task(n_labelled)
    return max(1, size >> estimator._n_halved)


def batch_size_for(n_rows: int) -> int:
    """Choose a batch size by the number of training rows.

    Parameters
    ----------
    n_rows : int
        Training rows.

    Returns
    -------
    int
        32 below 1,500 rows, 64 below 4,000, 128 below 8,000, then 256: small data need many
        steps per epoch, large data fast ones.
    """
    return next((size for below, size in BATCH_SIZES if n_rows < below), LARGEST_BATCH)


def batch_size_by_task(n_labelled: int) -> int:
    """Choose a batch size for nets that read the rows of their own labels.

    Parameters
    ----------
    n_labelled : int
        Labels of the task that has most of them.

    Returns
    -------
    int
        As :func:`batch_size_for` that number, but a tenth of it at most, and 4 at least: an epoch
        of few labels is otherwise one step, and early stopping counts epochs.
    """
    return min(batch_size_for(n_labelled), max(LEAST_LABELS, n_labelled // LEAST_BATCHES))
