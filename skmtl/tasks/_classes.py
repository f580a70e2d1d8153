"""Which classes a task has, and which column types can hold them."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skmtl._strategy import did_you_mean
from skmtl.tasks._inference import numbers
from skmtl.tasks._table import Container
from skmtl.tasks._task import CLASSIFICATION, Task, TaskWarning


def named_for(tasks: Sequence[Task], classes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Look up the classes that the user named for each task.

    Parameters
    ----------
    tasks : sequence of Task
        All tasks, with a kind and with the classes of their declarations.
    classes : mapping of str to sequence, or None
        Classes by task, which go before those of the declarations.  None for a task: nothing
        is said of it.

    Returns
    -------
    dict of str to sequence
        An entry for every task, empty where no classes are named.

    Raises
    ------
    ValueError
        If there is no such task, or its labels are numbers.
    """
    given = {name: labels for name, labels in (classes or {}).items() if labels is not None}
    by_name = {task.name: task for task in tasks}
    for name, labels in given.items():
        if name not in by_name:
            raise ValueError(
                f"Parameter `classes` names an unknown task {name!r}. The tasks are "
                f"{list(by_name)}.{did_you_mean(name, by_name)}"
            )
        if not by_name[name].has_classes and len(labels) > 0:
            raise ValueError(
                f"Parameter `classes` names classes for task {name!r}, which is a "
                f"{by_name[name].kind}. "
                "Declare it as 'classification', or leave it out."
            )
    return {name: given.get(name, task.classes) for name, task in by_name.items()}


def column_types(
    frame: pd.DataFrame, tasks: Sequence[Task], container: Container
) -> dict[Any, Any]:
    """Return the type of each column, such that it can hold all classes.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_samples, n_columns)
        The targets.
    tasks : sequence of Task
        All tasks, with their classes.
    container : Container
        What the targets came in.

    Returns
    -------
    dict
        Type by column label.  The categories of a type that does not list them (Categorical
        of polars, dictionary of pyarrow) are widened by declared classes, and so are types of
        numbers that do not hold them.

    Raises
    ------
    ValueError
        If a class is not among the categories that a column's type lists.
    """
    types = {column: frame[column].dtype for column in frame.columns}
    class_columns = [(t, column) for t in tasks if t.has_classes for column in t.columns]
    for task, column in class_columns:
        dtype = types[column]
        if not isinstance(dtype, pd.CategoricalDtype):
            types[column] = _wide_enough(dtype, task.classes)
            continue
        places = category_codes(task, dtype)
        new = [label for label, at in zip(task.classes, places, strict=True) if at < 0]
        if new and container.lists_categories(list(frame.columns).index(column)):
            raise ValueError(
                f"Task {task.name!r}: the declared class {new[0]!r} is not a category of column "
                f"{str(column)!r}. Its categories are {list(dtype.categories[:10])}. Add it to "
                "the column's type, or leave it out."
            )
        if new:
            types[column] = pd.CategoricalDtype([*dtype.categories, *new], dtype.ordered)
    return types


def _wide_enough(dtype: Any, classes: Sequence[Any]) -> Any:
    """Return a type of numbers that holds all classes: the given one, if it does."""
    wanted = np.array([*classes, None], dtype=object)[:-1]
    if dtype.kind not in "biuf" or not all(isinstance(c, Real | np.bool_) for c in wanted):
        return dtype
    try:
        if (pd.Series(wanted).astype(dtype).astype(object).to_numpy() == wanted).all():
            return dtype
    except (TypeError, ValueError, OverflowError):  # it cannot
        pass
    return np.array(list(classes)).dtype


def category_codes(task: Task, dtype: pd.CategoricalDtype) -> np.ndarray:
    """Return the place of each class of a task among the categories of a type.

    Parameters
    ----------
    task : Task
        A class task.
    dtype : pandas.CategoricalDtype
        The type of its column.

    Returns
    -------
    ndarray of shape (n_classes,), int
        -1 where a class is not a category.
    """
    known = dtype.categories.astype(object)
    return known.get_indexer(pd.Index(list(task.classes), dtype=object)).astype(np.intp)


def with_classes(task: Task, frame: pd.DataFrame, declared: Any) -> Task:
    """Return a task with its final kind and its classes.

    Parameters
    ----------
    task : Task
        With existing columns and a kind, be it "classification".
    frame : pandas.DataFrame of shape (n_samples, n_columns)
        The targets.
    declared : sequence
        The classes that the user named.  Empty: those that occur.

    Returns
    -------
    Task
        Of one of the kinds in ``KINDS``.

    Raises
    ------
    ValueError
        If the columns cannot be what the task is declared to be.
    TypeError
        If the cells of a class column cannot be told apart and sorted.

    Warns
    -----
    TaskWarning
        If a class task has one class only, or words without an order are to be ordered.
    """
    columns = [frame[column] for column in task.columns]
    if not task.has_classes:
        _check_numbers(columns, task)
        return replace(task, classes=())
    if len(declared) > 0:
        classes = tuple(declared)
    elif task.kind == "multilabel":
        classes = _common_labels(columns, task)
    else:
        classes = _classes(columns[0], task)
    if task.kind == "binary" and len(classes) > 2:
        raise ValueError(
            f"Task {task.name!r} is declared as binary, but column {str(columns[0].name)!r} has "
            f"{len(classes)} classes. Declare it as 'multiclass'."
        )
    kind = task.kind
    if kind == CLASSIFICATION:
        kind = "binary" if len(classes) <= 2 else "multiclass"
    if len(classes) == 1:
        warnings.warn(
            f"Task {task.name!r} has one class only, {classes[0]!r}: it will always be predicted.",
            TaskWarning,
            stacklevel=5,
        )
    if kind == "ordinal" and len(classes) > 2 and not len(declared) and _is_nominal(columns[0]):
        warnings.warn(
            f"Task {task.name!r} is ordinal, but nothing tells the order of its classes: they are "
            f"taken as {' < '.join(map(str, classes[:10]))}. Name them in order, with "
            f"Task({task.name!r}, 'ordinal', classes=[...]) or an ordered category.",
            TaskWarning,
            stacklevel=5,
        )
    return replace(task, kind=kind, classes=classes)


def _check_numbers(columns: Sequence[pd.Series], task: Task) -> None:
    for column in columns:
        if numbers(column) is None and column.notna().any():
            raise ValueError(
                f"Task {task.name!r} is declared as {task.kind}, but column "
                f"{str(column.name)!r} holds {column.dtype} values such as "
                f"{_no_number(column)!r}. Declare it as 'classification', or make it "
                "numeric."
            )


def _is_nominal(column: pd.Series) -> bool:
    """Tell whether a column holds words or other things without an order of their own."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return not column.dtype.ordered and numbers(column.cat.categories.to_series()) is None
    return numbers(column) is None


def _common_labels(columns: Sequence[pd.Series], task: Task) -> tuple[Any, ...]:
    """Return the two labels that all columns of a multilabel task have."""
    found = list(dict.fromkeys(label for column in columns for label in _classes(column, task)))
    if len(found) > 2:
        raise ValueError(
            f"Task {task.name!r} is declared as multilabel, so its columns must hold the same two "
            f"labels, such as 0 and 1. Found {found[:6]} in the columns "
            f"{[str(column.name) for column in columns]}. Take out the columns that differ, or "
            "make them alike."
        )
    has_open_type = not any(isinstance(column.dtype, pd.CategoricalDtype) for column in columns)
    if found and has_open_type and set(found) <= {0, 1}:
        return (type(found[0])(0), type(found[0])(1))  # a label that does not occur is known
    if len({type(label) for label in found}) > 1:
        return tuple(sorted(found, key=str))
    return tuple(sorted(found))


def _classes(column: pd.Series, task: Task) -> tuple[Any, ...]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(column.cat.categories)
    values = numbers(column)
    labelled = column.dropna()
    if values is not None:
        finite = values[~np.isnan(values)]
        if np.any(finite != np.floor(finite)):
            raise ValueError(
                f"Unknown label type: continuous. Task {task.name!r} is a classification, but "
                f"column {str(column.name)!r} holds numbers with fractions. Declare it as "
                "'regression', or turn it into categories."
            )
    try:
        labels = labelled.unique().tolist()
        if len({type(label) for label in labels}) > 1 and values is None:
            return tuple(sorted(labels, key=lambda label: (type(label).__name__, str(label))))
        return tuple(sorted(labels))
    except TypeError as error:
        odd = [cell for cell in labelled if not isinstance(cell, Hashable)]
        raise TypeError(
            f"Task {task.name!r}: the cells of column {str(column.name)!r} cannot be told apart "
            f"and sorted as classes. Found {[*odd, labelled.iloc[0]][0]!r:.80}. Use strings, numbers, "
            "booleans or categories."
        ) from error


def _no_number(column: pd.Series) -> Any:
    """Return the first cell that is no number."""
    cells = column.dropna().tolist()
    return next((cell for cell in cells if not isinstance(cell, Real)), cells[0])
