"""What a comparison fits: a model per column, a joint one, a search over either, and ours.

A model has `fit(table)` and `predict(X)`, which returns numbers or class shares by task; the
columns of shares are the classes of the whole set.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from benchmarks.accuracy_errors import NOT_SCORED, class_error, is_scored, number_error
from benchmarks.accuracy_splits import Table, inner_splits

Predictions = dict[str, np.ndarray]
FEW_COLUMNS = 3  # after which a loop over columns can tell how long it will take
SLACK = 1.25  # how far over the limit the expected time may be


class Model(Protocol):
    """What is fitted to a table and predicts all of its tasks."""

    def fit(self, table: Table) -> Any: ...

    def predict(self, X: pd.DataFrame) -> Predictions: ...


# ---- time --------------------------------------------------------------------------------------


class OutOfTimeError(Exception):
    """A fit took, or would take, more CPU time than it is allowed."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError once the process has used so much CPU time, where signals exist."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    is_over = False

    def stop(*_: Any) -> None:
        nonlocal is_over
        is_over = True
        raise OutOfTimeError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 5.0)  # again, where a library swallows it
    try:
        yield
    except KeyboardInterrupt:  # CatBoost turns what a signal raises into this
        if is_over:
            raise OutOfTimeError from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def time_left() -> float:
    """Return the CPU seconds that are left, infinitely many without a limit."""
    left = signal.getitimer(signal.ITIMER_PROF)[0] if hasattr(signal, "getitimer") else 0.0
    return left or np.inf


def in_time(tasks: Sequence[str]) -> Iterator[str]:
    """Yield the tasks, as long as the loop over them will end in time."""
    start = time.process_time()
    for done, task in enumerate(tasks):
        if done >= FEW_COLUMNS:
            needed = (time.process_time() - start) / done * (len(tasks) - done)
            if needed > SLACK * time_left():
                raise OutOfTimeError
        yield task


# ---- peers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """A peer: the X it wants, its estimators, and what a search tries.

    `column` makes an estimator for a column from: whether it has classes, the seed, parameters.
    `joint` makes one for all columns from: the table, the seed, parameters; or returns None
    where the library cannot fit them together.
    """

    prepare: Callable[[], Any]  # a transformer of X
    column: Callable[[bool, int, dict[str, Any]], Any]
    joint: Callable[[Table, int, dict[str, Any]], Any] | None = None
    grid: Sequence[Mapping[str, Any]] = ({},)
    scales_targets: bool = False  # whether each column of numbers is standardised first
    final: Mapping[str, Any] = field(default_factory=dict)  # what a search adds in the end
    package: str | None = None  # that must be installed

    def together(self, table: Table, seed: int, params: dict[str, Any]) -> Any:
        """Return one estimator of all columns, or None where there is none."""
        return None if self.joint is None else self.joint(table, seed, params)


class Plain:
    """A peer with given parameters: one model of all columns where it can, else one each."""

    def __init__(
        self,
        library: Library,
        seed: int,
        params: Mapping[str, Any] | None = None,
        *,
        apart: bool = False,
    ) -> None:
        self.library, self.seed, self.params = library, seed, dict(params or {})
        self.apart = apart  # one each, even where one model of all could be had

    def fit(self, table: Table) -> Plain:
        self.prepare_ = self.library.prepare()
        X = self.prepare_.fit_transform(table.X)
        self.parts_: list[_Joint | _Column] = []
        together = None if self.apart else self.library.together(table, self.seed, self.params)
        if together is not None:
            self.parts_.append(_Joint(together, list(table.tasks)).fit(X, table.targets))
            return self
        columns = dict(zip(table.tasks, table.targets.T, strict=True))
        for task in in_time(list(columns)):
            classes = len(table.classes[task]) if task in table.classes else 0
            estimator = self.library.column(classes > 0, self.seed, dict(self.params))
            scales = self.library.scales_targets and not classes
            self.parts_.append(_Column(estimator, task, classes, scales).fit(X, columns[task]))
        return self

    def predict(self, X: pd.DataFrame) -> Predictions:
        prepared = self.prepare_.transform(X)
        found: Predictions = {}
        for part in self.parts_:
            found |= part.predict(prepared)
        return found


class Tuned:
    """A peer with the best parameters of its grid, by training rows alone.

    Each column has its own where it has its own model.
    """

    def __init__(self, library: Library, seed: int) -> None:
        self.library, self.seed = library, seed

    def fit(self, table: Table) -> Tuned:
        grid = self.library.grid
        self.apart_ = self.library.together(table, self.seed, {}) is None
        errors = np.array([self._judge(table, params) for params in grid])  # (candidate, task)
        if not np.isfinite(errors).all(axis=1).any():
            raise ValueError("no candidate of the grid could be fitted")
        chosen = np.full(len(table.tasks), errors.mean(axis=1).argmin())
        if self.apart_:
            chosen = errors.argmin(axis=0)
        self.chosen_ = dict(zip(table.tasks, chosen.tolist(), strict=True))
        self.models_ = []
        for candidate in dict.fromkeys(self.chosen_.values()):
            tasks = [task for task, number in self.chosen_.items() if number == candidate]
            params = {**grid[candidate], **self.library.final}
            model = Plain(self.library, self.seed, params, apart=self.apart_)
            self.models_.append(model.fit(table.only(tasks)))
        return self

    def _judge(self, table: Table, params: Mapping[str, Any]) -> np.ndarray:
        """Return the mean errors of the tasks; infinite if the candidate cannot be fitted."""
        found = []
        for train, test in inner_splits(table, self.seed):
            known, judged = table.take(train), table.take(test)
            try:
                model = Plain(self.library, self.seed, params, apart=self.apart_).fit(known)
                found.append(errors_of(known, judged, model.predict(judged.X)))
            except OutOfTimeError:
                raise
            except Exception:  # noqa: BLE001, each library has errors of its own
                return np.full(len(table.tasks), np.inf)
        errors = np.array(found)  # (fold, task)
        judged_folds = (~np.isnan(errors)).sum(axis=0)
        # A task that no fold can judge takes no part in the choice.
        return np.nansum(errors, axis=0) / np.maximum(judged_folds, 1)

    def predict(self, X: pd.DataFrame) -> Predictions:
        found: Predictions = {}
        for model in self.models_:
            found |= model.predict(X)
        return found


class _Column:
    """One estimator, fitted to the rows that have a label."""

    def __init__(self, estimator: Any, task: str, n_classes: int, scales: bool) -> None:
        self.estimator, self.task, self.n_classes = estimator, task, n_classes
        self.scales = scales

    def fit(self, X: Any, y: np.ndarray) -> _Column:
        rows = np.flatnonzero(~np.isnan(y))
        y = y[rows]
        self.mean_, self.scale_ = 0.0, 1.0
        self.seen_, codes = np.unique(y, return_inverse=True)
        if len(self.seen_) < 2:
            return self
        if self.n_classes:
            self.estimator.fit(_rows(X, rows), codes)
            return self
        if self.scales:
            self.mean_, self.scale_ = y.mean(), y.std()
        self.estimator.fit(_rows(X, rows), (y - self.mean_) / self.scale_)
        return self

    def predict(self, X: Any) -> Predictions:
        if self.n_classes:
            shares = np.zeros((len(X), self.n_classes))
            alone = len(self.seen_) < 2
            found = np.ones((len(X), 1)) if alone else self.estimator.predict_proba(X)
            shares[:, self.seen_.astype(int)] = found
            return {self.task: shares}
        if len(self.seen_) < 2:
            return {self.task: np.repeat(self.seen_[:1], len(X))}
        found = np.asarray(self.estimator.predict(X), dtype=float).reshape(len(X))
        return {self.task: found * self.scale_ + self.mean_}


class _Joint:
    """One estimator of several columns of numbers, which it gets standardised."""

    def __init__(self, estimator: Any, tasks: list[str]) -> None:
        self.estimator, self.tasks = estimator, tasks

    def fit(self, X: Any, Y: np.ndarray) -> _Joint:
        self.mean_, scale = np.nanmean(Y, axis=0), np.nanstd(Y, axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        self.estimator.fit(X, (Y - self.mean_) / self.scale_)
        return self

    def predict(self, X: Any) -> Predictions:
        found = np.asarray(self.estimator.predict(X), dtype=float).reshape(len(X), len(self.tasks))
        return dict(zip(self.tasks, (found * self.scale_ + self.mean_).T, strict=True))


def _rows(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


# ---- ours --------------------------------------------------------------------------------------


class Ours:
    """One of skmtl's estimators, which gets the frames as they are, and groups where there are."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, table: Table) -> Ours:
        self.estimator.fit(table.X, table.Y, groups=table.groups)
        self.classes_ = table.classes
        return self

    def predict(self, X: pd.DataFrame) -> Predictions:
        found: Predictions = {}
        for output in self.estimator.predict_outputs(X):
            task = output.task
            if not task.has_classes:
                found[task.name] = output.values[:, 0]
                continue
            every = pd.Index(self.classes_[task.name])
            shares = np.zeros((len(X), len(every)))
            shares[:, every.get_indexer(pd.Index(task.classes))] = output.values
            found[task.name] = shares
        return found


# ---- errors ------------------------------------------------------------------------------------


def errors_of(known: Table, test: Table, predicted: Predictions) -> list[float]:
    """Return the error of each task, NaN of those that are not scored."""
    return [e.error for e in task_errors(known, test, predicted)]


def task_errors(known: Table, test: Table, predicted: Predictions) -> list[Any]:
    """Return the errors of the tasks with their parts."""
    found = []
    for k, task in enumerate(known.tasks):
        learnt, truth = known.targets[:, k], test.targets[:, k]
        if not is_scored(learnt, truth):
            found.append(NOT_SCORED)
            continue
        judge = class_error if task in known.classes else number_error
        try:
            found.append(judge(learnt, truth, predicted[task]))
        except ValueError as error:
            raise ValueError(f"task {task!r}: {error}") from error
    return found
