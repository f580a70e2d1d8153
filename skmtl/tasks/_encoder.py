"""y <-> (targets, mask): class codes and numbers, and where there is a label at all."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skmtl._words import count_words, look_of
from skmtl.tasks._classes import category_codes, column_types, named_for, with_classes
from skmtl.tasks._codes import check_column, encode_column
from skmtl.tasks._inference import declare_tasks, inferred
from skmtl.tasks._table import read_table
from skmtl.tasks._task import Task, TaskWarning


@dataclass(frozen=True)
class Targets:
    """Targets of all tasks as numbers.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns), float64
        Regression targets in their own units, and class codes 0..k-1; 0 where missing.
    mask : ndarray of shape (n_samples, n_columns), bool
        Where there is a label.
    """

    values: np.ndarray
    mask: np.ndarray

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.values)

    def take(self, rows: np.ndarray) -> Targets:
        """Select rows.

        Parameters
        ----------
        rows : ndarray of int or bool
            Which rows.

        Returns
        -------
        Targets
            The selected rows, in that order.
        """
        return Targets(self.values[rows], self.mask[rows])


class TargetEncoder:
    """Learns tasks and classes from y, and translates between y and numbers.

    Parameters
    ----------
    tasks : object, default=None
        The user's declarations, see :func:`skmtl.tasks.declare_tasks`.
    default_kind : {"regression", "classification"}, default=None
        The kind of columns that are not declared.  None: inferred.

    Attributes
    ----------
    tasks_ : tuple of Task
        All tasks, with their kinds and classes.
    container_ : Container
        The container that y came in.
    columns_ : tuple
        The labels of y's columns, in y's order.
    dtypes_ : dict
        The type of each column.
    labelled_ : dict of str to bool
        Whether a task had a label.  One that had none is predicted as missing.
    """

    def __init__(self, tasks: Any = None, default_kind: str | None = None) -> None:
        self.tasks = tasks
        self.default_kind = default_kind

    def fit(
        self, y: Any, classes: dict[str, Any] | None = None, *, is_part: bool = False
    ) -> TargetEncoder:
        """Learn the tasks and their classes.

        Parameters
        ----------
        y : targets in any supported container
            Of shape (n_samples,) or (n_samples, n_columns).
        classes : dict of str to sequence, default=None
            All classes of a task by its name, for data that comes in parts.
        is_part : bool, default=False
            Whether more rows may follow, with labels of tasks that have none here.

        Returns
        -------
        TargetEncoder
            self.

        Raises
        ------
        ValueError
            If a column cannot be what it is declared to be, or holds infinity, dates or
            complex numbers; if `classes` names no class task, or a class is not a category.
        TypeError
            If the cells of a class column cannot be told apart and sorted.

        Warns
        -----
        TaskWarning
            If a task has no label, one class only, or words that look like numbers or dates and that
            nobody declared.
        UserWarning
            If y is a dict, which cross-validation would not split.
        """
        frame, self.container_ = read_table(y)
        for position in range(frame.shape[1]):  # names may still be doubled
            check_column(frame.iloc[:, position])
        tasks = declare_tasks(frame, self.tasks, self.default_kind)
        if self.default_kind is None:
            for task in inferred(tasks, frame, self.tasks):
                _warn_of_words(task, frame[task.columns[0]])
        if isinstance(y, Mapping):
            warnings.warn(
                "y is a dict of columns, which fit alone can read: cross-validation would take its "
                "keys for rows. Pass pandas.DataFrame(y) there, and here to be rid of this.",
                UserWarning,
                stacklevel=6,
            )
        named = named_for(tasks, classes)
        self.tasks_ = tuple(with_classes(task, frame, named[task.name]) for task in tasks)
        self.columns_ = tuple(frame.columns)
        self.dtypes_ = column_types(frame, self.tasks_, self.container_)
        self.container_ = self.container_.wide_enough(
            {c: task.classes for task in self.tasks_ if task.has_classes for c in task.columns}
        )
        self.labelled_ = {
            task.name: any(bool(frame[c].notna().any()) for c in task.columns) for task in tasks
        }
        if not is_part:
            self._warn_of_gaps(frame)
        return self

    def _warn_of_gaps(self, frame: pd.DataFrame) -> None:
        """Tell of tasks and columns without any label."""
        unlabelled = [name for name, labelled in self.labelled_.items() if not labelled]
        # Without any label at all there is nothing to warn of: who trains raises an error.
        for name in unlabelled if len(unlabelled) < len(self.tasks_) else []:
            warnings.warn(
                f"Task {name!r} has no label: it will be predicted as missing. Leave it out, or "
                "add rows with a label.",
                TaskWarning,
                stacklevel=5,
            )
        for task in self.tasks_:
            empty = [str(c) for c in task.columns if not frame[c].notna().any()]
            if self.labelled_[task.name] and empty:
                warnings.warn(
                    f"Task {task.name!r}: no label in column {', '.join(map(repr, empty))}, so that what "
                    "is predicted there was never trained. Leave it out, or add rows with a label.",
                    TaskWarning,
                    stacklevel=5,
                )

    def with_labels(self, mask: np.ndarray, *, is_first: bool) -> TargetEncoder:
        """Return a copy that knows which tasks have been trained on a label.

        Parameters
        ----------
        mask : ndarray of shape (n_samples, n_columns), bool
            Where there are labels to train on.
        is_first : bool
            Whether these are the first rows; else what was labelled before stays so.

        Returns
        -------
        TargetEncoder
            A copy with its own ``labelled_``; all else is shared.
        """
        encoder = copy.copy(self)
        encoder.labelled_ = (
            dict.fromkeys(self.labelled_, False) if is_first else dict(self.labelled_)
        )
        owners = [task.name for task in self.tasks_ for _ in task.columns]
        for column, name in enumerate(owners):
            encoder.labelled_[name] |= bool(mask[:, column].any())
        return encoder

    def transform(self, y: Any, *, unseen: str = "error") -> Targets:
        """Turn labels into codes and numbers.

        Parameters
        ----------
        y : targets in any supported container
            Of the shape and with the columns seen in `fit`.
        unseen : {"error", "code"}, default="error"
            What to do with a class that was not seen in `fit`: raise, or give it the next
            free code (for scoring).

        Returns
        -------
        Targets
            In the order of the tasks' columns.

        Raises
        ------
        ValueError
            If columns are missing, a target is infinite, a count negative, or a class new.
        """
        frame, _ = read_table(y)
        frame = self._match_columns(frame)
        encoded = [
            encode_column(frame[column], task, unseen)
            for task in self.tasks_
            for column in task.columns
        ]
        mask = np.column_stack([~np.isnan(values) for values in encoded])
        return Targets(np.where(mask, np.column_stack(encoded), 0.0), mask)

    def restore(self, predictions: list[np.ndarray], index: Any = None) -> Any:
        """Put predictions of all tasks into the container that y came in.

        Parameters
        ----------
        predictions : list of ndarray
            A task's class codes, shape (n_samples,), or numbers or codes of a multilabel task,
            shape (n_samples, n_columns).
        index : pandas.Index, default=None
            Row labels of a pandas result.

        Returns
        -------
        frame, series or ndarray
            Labels in their own type and numbers, with the columns in y's order.  A task that
            never had a label is predicted as missing.
        """
        if self.container_.form == "array" and not any(task.has_classes for task in self.tasks_):
            return self._restore_numbers(predictions)
        columns: dict[Any, pd.Series] = {}
        for task, predicted in zip(self.tasks_, predictions, strict=True):
            for i, column in enumerate(task.columns):
                dtype = self.dtypes_[column]
                if not self.labelled_[task.name]:
                    columns[column] = _missing(len(predicted), dtype, task)
                elif task.has_classes:
                    codes = predicted if predicted.ndim == 1 else predicted[:, i]
                    columns[column] = _decode(codes, task, dtype)
                else:
                    columns[column] = pd.Series(predicted[:, i]).astype(_float_type(dtype))
        frame = pd.DataFrame({column: columns[column] for column in self.columns_})
        if index is not None:
            frame.index = index
        is_class = {c: task.has_classes for task in self.tasks_ for c in task.columns}
        return self.container_.restore(frame, [not is_class[c] for c in self.columns_])

    def _restore_numbers(self, predictions: list[np.ndarray]) -> np.ndarray:
        """Put numbers into an array, without a frame on the way, which takes most of the time."""
        order = [column for task in self.tasks_ for column in task.columns]
        values = np.concatenate(predictions, axis=1)
        if order != list(self.columns_):
            places = {column: place for place, column in enumerate(order)}
            values = values[:, [places[column] for column in self.columns_]]
        dtype = np.result_type(*map(_float_type, set(self.dtypes_.values())))
        values = values.astype(dtype, copy=False)
        return values[:, 0] if self.container_.n_dims == 1 else values

    def classes_of(self, task: Task) -> np.ndarray:
        """Return a class task's labels in their own type.

        Parameters
        ----------
        task : Task
            One of ``tasks_``.

        Returns
        -------
        ndarray of shape (n_classes,)
            In the order of the probability columns.
        """
        dtype = self.dtypes_[task.columns[0]]
        is_text = self.container_.form == "array" and self.container_.dtype is not None
        if is_text:
            return np.array(task.classes, dtype=self.container_.dtype)
        if isinstance(dtype, np.dtype) and dtype != object:
            return np.array(task.classes, dtype=dtype)
        labels = np.array([*task.classes, None], dtype=object)[:-1]  # 1-D, tuples or not
        return labels if dtype == object else np.asarray(pd.Series(labels).infer_objects())

    def _match_columns(self, frame: pd.DataFrame) -> pd.DataFrame:
        if frame.shape[1] != len(self.columns_):
            raise ValueError(
                f"y must have the {len(self.columns_)} columns seen in fit, "
                f"{[str(c) for c in self.columns_]}. Found {frame.shape[1]} columns."
            )
        if set(frame.columns) == set(self.columns_):
            return frame
        if list(frame.columns) == [f"y{i}" for i in range(frame.shape[1])] or frame.shape[1] == 1:
            # An array beside a frame: the columns go by position.
            return frame.set_axis(list(self.columns_), axis=1)
        raise ValueError(
            f"y must have the columns seen in fit, {[str(c) for c in self.columns_]}. "
            f"Found {[str(c) for c in frame.columns]}."
        )


def _warn_of_words(task: Task, column: pd.Series) -> None:
    """Tell of a column of words that looks as if it should be something else."""
    look = look_of(count_words(column))
    if look is None or not task.has_classes:
        return
    warnings.warn(
        f"Task {task.name!r} is taken for classes, one for each {look.noun} in column "
        f"{str(column.name)!r}: {look.found}. {look.remedy}, or declare the task as "
        "'classification'.",
        TaskWarning,
        stacklevel=5,
    )


def _decode(codes: np.ndarray, task: Task, dtype: Any) -> pd.Series:
    if isinstance(dtype, pd.CategoricalDtype):
        # The order of the classes is the task's own, that of the categories the column's.
        places = category_codes(task, dtype)[codes.astype(np.intp)]
        return pd.Series(pd.Categorical.from_codes(places, dtype=dtype))
    labels = pd.Series(list(task.classes), dtype=dtype)
    return labels.take(codes.astype(np.intp)).reset_index(drop=True)


def _missing(n_rows: int, dtype: Any, task: Task) -> pd.Series:
    """Return predictions of a task that never had a label, so that its type can say so."""
    if not task.has_classes:
        return pd.Series(np.full(n_rows, np.nan)).astype(_float_type(dtype))
    return pd.Series([None] * n_rows, dtype=dtype)


def _float_type(dtype: Any) -> Any:
    keeps = isinstance(dtype, np.dtype | pd.Float32Dtype | pd.Float64Dtype | pd.ArrowDtype)
    return dtype if keeps and dtype.kind == "f" else np.dtype(np.float64)
