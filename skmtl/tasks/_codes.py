"""One column of y -> class codes or numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skmtl.tasks._inference import numbers
from skmtl.tasks._task import Task, TaskWarning

#: What pandas calls cells that are points or spans of time.
_TIMES = frozenset({"date", "datetime", "datetime64", "period", "time", "timedelta", "timedelta64"})


def check_column(column: pd.Series) -> None:
    """Refuse cells that are no labels.

    Parameters
    ----------
    column : Series of shape (n_samples,)
        Of y.

    Raises
    ------
    ValueError
        For dates, complex numbers, infinity and whole numbers beyond 1e308.
    """
    name = str(column.name)
    held = pd.api.types.infer_dtype(column, skipna=True) if column.dtype.kind == "O" else ""
    if column.dtype.kind in "mM" or held in _TIMES:
        raise ValueError(
            f"Column {name!r} of y holds dates or durations. Convert it to a number (days since "
            "a date) or to classes first."
        )
    if column.dtype.kind == "c" or held == "complex":
        raise ValueError(f"Complex data not supported: column {name!r} of y.")
    try:
        values = numbers(column)
    except OverflowError as error:
        raise ValueError(
            f"Column {name!r} of y holds whole numbers beyond 1e308. Scale it, or take logarithms."
        ) from error
    if values is not None and np.isinf(values).any():
        raise ValueError(
            f"Column {name!r} of y contains infinity in {int(np.isinf(values).sum())} rows. Mark "
            "a missing label as NaN, or remove these rows."
        )


def encode_column(column: pd.Series, task: Task, unseen: str) -> np.ndarray:
    """Turn labels into codes or numbers.

    Parameters
    ----------
    column : Series of shape (n_samples,)
        Of y.
    task : Task
        That reads it, with its classes.
    unseen : {"error", "code"}
        What to do with a class that is new: raise, or give it the next free code.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        NaN where missing.

    Raises
    ------
    ValueError
        If a label is not what the task has.
    """
    check_column(column)
    if not task.has_classes:
        values = numbers(column)
        if values is None and column.notna().any():
            raise ValueError(
                f"Task {task.name!r} is a {task.kind}, but column {str(column.name)!r} holds "
                f"{column.dropna().tolist()[0]!r}. Make it numeric, or fit anew."
            )
        values = np.full(len(column), np.nan) if values is None else values
        if task.kind == "count" and (values < 0).any():
            raise ValueError(
                f"Task {task.name!r} is a count, but column {str(column.name)!r} holds negative "
                f"numbers in {int((values < 0).sum())} rows. Mark a missing label as NaN, or "
                "declare it as 'regression'."
            )
        return values
    missing = column.isna().to_numpy()
    codes = _places(column, task).astype(np.float64)
    new = (codes < 0) & ~missing
    if new.any():
        codes[new] = _new_codes(column[new], task, unseen)
        if (new | missing).all():
            _warn_of_strangers(column[new], task)
    codes[missing] = np.nan
    return codes


def _places(column: pd.Series, task: Task) -> np.ndarray:
    """Return the place of each label among the classes; -1: it is none of them."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        known = pd.Index(list(task.classes))
        if known.dtype == column.dtype:  # a tenth of the time that objects take
            return known.get_indexer(pd.Index(column))
    known = pd.Index(
        list(task.classes), dtype=object if task.classes else None, tupleize_cols=False
    )
    # Not of several levels, though labels may be tuples.
    return known.get_indexer(pd.Index(column.astype(object), tupleize_cols=False))


def _new_codes(labels: pd.Series, task: Task, unseen: str) -> np.ndarray:
    """Return the codes of labels that are no known classes, or refuse them."""
    known = list(task.classes)
    by_text = {str(label): label for label in labels}
    found = sorted(by_text)
    # A column of a multilabel task has no room for a third label.
    if unseen == "error" or task.kind == "multilabel":
        raise ValueError(
            f"Task {task.name!r}: column {str(labels.name)!r} holds classes that were not "
            f"seen before: {[by_text[text] for text in found[:5]]}. Known are {known[:10]}. Name all classes "
            f"with Task({task.name!r}, classes=[...]), `classes=` or a category type."
            f"{_of_another_type(known, labels)}"
        )
    return len(known) + np.searchsorted(found, [str(label) for label in labels])


def _warn_of_strangers(labels: pd.Series, task: Task) -> None:
    """Tell of a column none of whose labels is a class."""
    warnings.warn(
        f"Task {task.name!r} is not scored: no label in column {str(labels.name)!r} is of a class that was "
        f"seen in fit, such as {labels.iloc[0]!r}. Known are {list(task.classes)[:10]}."
        f"{_of_another_type(task.classes, labels)}",
        TaskWarning,
        stacklevel=5,
    )


def _of_another_type(known: Sequence[Any], new: Iterable[Any]) -> str:
    """Say so where labels look like classes and are none, since they are of another type."""
    alike = next((label for label in new if str(label) in set(map(str, known))), None)
    if alike is None:
        return ""
    twin = next(label for label in known if str(label) == str(alike))
    types = f"{type(alike).__name__} where the class is {type(twin).__name__}"
    return f" The label {alike!r} is {types}: make them alike."
