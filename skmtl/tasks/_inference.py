"""Which kind of task a column of y is, and which tasks a table holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skmtl._strategy import did_you_mean
from skmtl.tasks._task import CLASSIFICATION, Task

#: Integer-valued columns with at most this many distinct values may be classes,
MAX_CLASSES = 10
#: if each of them occurs at least this often on average.
MIN_REPETITION = 5


def numbers(column: pd.Series) -> np.ndarray | None:
    """Read a column as numbers, if that is what it holds.

    Parameters
    ----------
    column : pandas.Series of shape (n_samples,)
        One column of y.

    Returns
    -------
    ndarray of shape (n_samples,), float64, or None
        Missing cells are NaN.  None if the column holds booleans, strings, categories or
        other objects.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return None
    missing = column.isna().to_numpy()
    if dtype == object:
        types: set[type] = set(map(type, column[~missing]))
        if not types or bool in types or not all(issubclass(t, Real | Decimal) for t in types):
            return None
        column = column.mask(missing, np.nan)
        return column.to_numpy(dtype=np.float64)
    if pd.api.types.is_numeric_dtype(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return None


def infer_kind(column: pd.Series) -> str:
    """Infer the kind of a column by the documented rule.

    1. Booleans, strings, categories and objects are classes; objects that are all numbers
       (``Decimal`` too) are numbers.
    2. Numbers with any fraction are a regression target.
    3. Whole numbers are classes if there are at most two distinct values, or at most
       10 that occur at least 5 times each on average; else a regression target.

    Parameters
    ----------
    column : pandas.Series of shape (n_samples,)
        One column of y; missing cells are ignored.

    Returns
    -------
    {"regression", "classification"}
        The kind.  Whether a classification is binary or multi-class follows from the
        number of classes.  The other kinds are never inferred: whole numbers may be counts
        or grades, but which of them only the user knows.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmtl.tasks import infer_kind
    >>> infer_kind(pd.Series([0.5, 1.0, None]))
    'regression'
    >>> infer_kind(pd.Series(["yes", None, "no"]))
    'classification'
    """
    values = numbers(column)
    if values is None:
        return CLASSIFICATION
    is_finite = np.isfinite(values)
    labelled = values[is_finite]
    if labelled.size == 0 or np.any(labelled != np.floor(labelled)):
        return "regression"
    n_distinct = column[is_finite].nunique()  # of the column: floats beyond 2**53 have gaps
    repeated = n_distinct <= MAX_CLASSES and labelled.size >= MIN_REPETITION * n_distinct
    return CLASSIFICATION if n_distinct <= 2 or repeated else "regression"


def declare_tasks(frame: pd.DataFrame, tasks: Any, default_kind: str | None = None) -> list[Task]:
    """List the tasks of a table: those that the user declared, then one per column left.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_samples, n_columns)
        The targets.
    tasks : None, mapping, sequence of Task, or str
        The user's declarations: a mapping from the task's name (or a column's position) to
        a kind, to a list of columns (one vector-valued regression task) or to a Task; a
        sequence of Task objects; or one word for every column.
    default_kind : {"regression", "classification"}, default=None
        The kind of columns that are not declared.  None: inferred.

    Returns
    -------
    list of Task
        In the order of their first column; each with a kind and existing columns.

    Raises
    ------
    ValueError
        If a column is unknown, used twice, or two tasks have one name.
    TypeError
        If a declaration cannot be understood.
    """
    labels = list(frame.columns)
    names = [str(label) for label in labels]
    if len(set(names)) < len(names):
        doubled = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"The columns of y must have different names. Found twice: {doubled}.")
    if frame.shape[1] == 0:
        raise ValueError("y must have at least one column. Found 0.")
    declared = [_with_labels(task, labels) for task in _declarations(tasks, labels)]
    used = Counter(column for task in declared for column in task.columns)
    for column, count in used.items():
        if count > 1:
            readers = [task.name for task in declared if column in task.columns]
            raise ValueError(
                f"Column {column!r} of y must be read by one task. It is read {count} times, by "
                f"{readers}. Take it out of all but one."
            )
    rest = [Task(str(c), default_kind, columns=(c,)) for c in labels if c not in used]
    listed = sorted([*declared, *rest], key=lambda task: labels.index(task.columns[0]))
    for name, count in Counter(task.name for task in listed).items():
        if count > 1:
            raise ValueError(f"Two tasks are called {name!r}. Give one of them another name.")
    return [_with_kind(task, frame) for task in listed]


def inferred(tasks: list[Task], frame: pd.DataFrame, declared: Any) -> list[Task]:
    """Return the tasks whose kind nobody declared.

    Parameters
    ----------
    tasks : list of Task
        From :func:`declare_tasks`.
    frame : pandas.DataFrame of shape (n_samples, n_columns)
        The targets.
    declared : None, mapping, sequence of Task, or str
        The user's declarations.

    Returns
    -------
    list of Task
        Of one column each.
    """
    known = {task.name for task in _declarations(declared, list(frame.columns))}
    return [task for task in tasks if task.name not in known]


def _declarations(tasks: Any, labels: list[Any]) -> Iterable[Task]:
    if tasks is None:
        return []
    if isinstance(tasks, str):
        return [Task(str(label), tasks, columns=(label,)) for label in labels]
    if isinstance(tasks, Mapping):
        return [_declaration(key, value, labels) for key, value in tasks.items()]
    if isinstance(tasks, list | tuple) and all(isinstance(task, Task) for task in tasks):
        return tasks
    raise TypeError(
        "Parameter `tasks` must be None, a mapping such as {'price': 'regression'}, a list of "
        f"Task objects, or one kind for all columns. Found `tasks = {tasks!r}`."
    )


def _declaration(key: Hashable, value: Any, labels: list[Any]) -> Task:
    if isinstance(value, Task):
        if isinstance(key, str) and key != value.name:
            raise ValueError(
                f"Task {value.name!r} is declared under the key {key!r}. Make the two alike, or pass "
                "a list of Task objects."
            )
        return value
    if isinstance(value, list | tuple):
        return Task(str(key), "regression", columns=value)
    if value is None or isinstance(value, str):
        column = _find(key, labels, str(key))
        return Task(str(column), value, columns=(column,))
    raise TypeError(
        f"Task {key!r}: a declaration must be a kind, a list of columns or a Task. Found {value!r}."
    )


def _find(column: Hashable, labels: list[Any], task: str) -> Any:
    """Find a column by its label, by its label as a string, or by its position."""
    if column in labels:
        return column
    by_name = {str(label): label for label in labels}
    if isinstance(column, str) and column in by_name:
        return by_name[column]
    if isinstance(column, int | np.integer) and -len(labels) <= column < len(labels):
        return labels[int(column)]
    raise ValueError(
        f"Task {task!r}: y has no column {column!r}. Its columns are "
        f"{[str(label) for label in labels]}.{did_you_mean(column, by_name)}{_of_array(labels)}"
    )


def _of_array(labels: list[Any]) -> str:
    """Say why y may have no names where the user's frame had some."""
    if labels != [f"y{i}" for i in range(len(labels))]:
        return ""
    return " y came as an array; if it was a frame, what is around the estimator made it one: use positions."


def _with_labels(task: Task, labels: list[Any]) -> Task:
    columns = tuple(_find(column, labels, task.name) for column in task.columns)
    return replace(task, columns=columns)


def _with_kind(task: Task, frame: pd.DataFrame) -> Task:
    kind = task.kind
    if kind is None and task.n_columns > 1:
        kind = "regression"
    if kind is None:
        kind = CLASSIFICATION if task.classes else infer_kind(frame[task.columns[0]])
    return replace(task, kind=kind)
