"""The three protocols: which rows are learnt from, what is fitted, and what is scored.

A part has sets, splits of a table by the number of a repeat, and a score of predictions.  Splits
hang on the name of the set and the repeat alone, not on skmtl's own splitters.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from benchmarks import accuracy
from benchmarks.accuracy_models import Model, Ours, Predictions
from benchmarks.accuracy_peers import dense
from benchmarks.accuracy_splits import Parts, Table
from skmtl import MultiTaskNetClassifierRegressor

N_FOLDS = 10  # of the sets of Mulan
SCHOOL_SPLITS, SCHOOL_TEST = 10, 0.25  # of the pupils of each school
TOX21_SPLITS, TOX21_TRAIN, TOX21_TEST = 3, 0.8, 0.1
MULAN = "Mulan multi-target regression benchmark"  # source in the catalogue


@dataclass(frozen=True)
class Scores:
    """What one split comes to: the main score, others, and by task what a pool of folds needs."""

    score: float
    others: Sequence[float] = ()
    errors: Sequence[float] = ()  # squared errors of the test rows of each task, summed
    bases: Sequence[float] = ()  # the same of the mean of the training rows


@dataclass(frozen=True)
class Part:
    """One protocol."""

    name: str
    sets: Callable[[Mapping[str, Mapping[str, Any]]], list[str]]  # of the catalogue, small first
    n_repeats: Callable[[Mapping[str, Any]], int]  # of an entry of the catalogue
    split: Callable[[Table, int], Parts]
    score: Callable[[Table, Table, Predictions], Scores]  # training rows, test rows, predictions
    models: Sequence[str]


# ---- models ------------------------------------------------------------------------------------


class PooledRidge:
    """One ridge over the rows of all tasks, with an intercept of its own for each task.

    It fits numbers where each row has a label of one task, and predicts all tasks for each row.
    """

    def fit(self, table: Table) -> PooledRidge:
        self.tasks_ = list(table.tasks)
        self.prepare_ = dense()
        rows, tasks = np.nonzero(~np.isnan(table.targets))
        one_hot = np.eye(len(self.tasks_))[tasks]  # (label, task)
        X = np.asarray(self.prepare_.fit_transform(table.X))[rows]
        self.ridge_ = Ridge().fit(np.hstack([X, one_hot]), table.targets[rows, tasks])
        return self

    def predict(self, X: pd.DataFrame) -> Predictions:
        slopes, offsets = np.split(self.ridge_.coef_, [-len(self.tasks_)])
        common = np.asarray(self.prepare_.transform(X)) @ slopes + self.ridge_.intercept_
        return {task: common + offset for task, offset in zip(self.tasks_, offsets, strict=True)}


def models() -> dict[str, Callable[[Mapping[str, str], int], Model]]:
    """Return what makes each model from the kinds of the tasks and a seed."""
    known = accuracy.models()
    return {
        "skmtl default": known["skmtl default"],
        "skmtl independent": lambda tasks, seed: Ours(
            MultiTaskNetClassifierRegressor(tasks, sharing="independent", random_state=seed)
        ),
        "rf": known["rf"],
        "ridge": known["ridge"],
        "ridge pooled": lambda _tasks, _seed: PooledRidge(),
    }


# ---- splits ------------------------------------------------------------------------------------


def _random(table: Table, repeat: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(table.name.encode()), repeat])


def school_split(table: Table, repeat: int) -> Parts:
    """Hold out a quarter of the labels of each task; each row has a label of one task."""
    random = _random(table, repeat)
    there = ~np.isnan(table.targets)
    if not (there.sum(axis=1) == 1).all():
        raise ValueError(f"Each row of {table.name!r} must have a label of exactly one task.")
    train, test = [], []
    for known in there.T:
        rows = random.permutation(np.flatnonzero(known))
        n_test = round(SCHOOL_TEST * len(rows))
        test.append(rows[:n_test])
        train.append(rows[n_test:])
    return random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))


def tox21_split(table: Table, repeat: int) -> Parts:
    """Learn from a random 80 % and test on 10 %; the tenth that MoleculeNet tunes on is unused."""
    rows = _random(table, repeat).permutation(len(table.X))
    n_train, n_test = round(TOX21_TRAIN * len(rows)), round(TOX21_TEST * len(rows))
    return rows[:n_train], rows[len(rows) - n_test :]


def mulan_split(table: Table, repeat: int) -> Parts:
    """Return a fold of ten, the same ten for each repeat, or the given split."""
    rows = np.arange(len(table.X))
    if table.given_test is not None:
        return rows[~table.given_test], rows[table.given_test]
    folds = np.array_split(_random(table, 0).permutation(rows), N_FOLDS)
    test = folds.pop(repeat)
    return np.concatenate(folds), test


# ---- scores ------------------------------------------------------------------------------------


def explained_variance(_known: Table, judged: Table, predicted: Predictions) -> Scores:
    """Return the percentage explained over all test rows, within schools, and their mean.

    The three differ in what the squared error is compared with: the spread around the mean of all
    test labels, around that of the test labels of each school, and the latter school by school.
    """
    truth = judged.targets
    errors = _squared_errors(judged, predicted)
    within = np.nansum((truth - np.nanmean(truth, axis=0)) ** 2, axis=0)  # (task,)
    overall = np.nansum((truth - np.nanmean(truth)) ** 2)
    by_school = 1 - errors[within > 0] / within[within > 0]
    return Scores(
        100 * (1 - errors.sum() / overall),
        (100 * (1 - errors.sum() / within.sum()), 100 * by_school.mean()),
    )


def mean_auc(_known: Table, judged: Table, predicted: Predictions) -> Scores:
    """Return the mean ROC-AUC over the tasks and that of each, on the rows that have its label.

    A task of which the test rows have one class alone has none, and is left out of the mean.
    """
    aucs = []
    for task, codes in zip(judged.tasks, judged.targets.T, strict=True):
        there = ~np.isnan(codes)
        mixed = len(np.unique(codes[there])) == 2
        shares = predicted[task][there, 1]
        aucs.append(float(roc_auc_score(codes[there], shares)) if mixed else np.nan)
    return Scores(float(np.nanmean(aucs)), aucs)


def arrmse(known: Table, judged: Table, predicted: Predictions) -> Scores:
    """Return the mean over the tasks of the RMSE over that of the mean of the training rows."""
    errors = _squared_errors(judged, predicted)
    bases = np.nansum((judged.targets - np.nanmean(known.targets, axis=0)) ** 2, axis=0)
    if not (bases > 0).all():
        raise ValueError("The mean of the training rows predicts the test rows of a task exactly.")
    return Scores(float(np.sqrt(errors / bases).mean()), (), errors, bases)


def _squared_errors(judged: Table, predicted: Predictions) -> np.ndarray:
    """Return the sum of squared errors over the labels of each task."""
    found = np.column_stack([predicted[task] for task in judged.tasks])  # (sample, task)
    there = ~np.isnan(judged.targets)
    if not np.isfinite(found[there]).all():
        raise ValueError("Predictions are not finite.")
    return (np.where(there, judged.targets - found, 0.0) ** 2).sum(axis=0)


# ---- parts -------------------------------------------------------------------------------------


def _named(name: str) -> Callable[[Mapping[str, Mapping[str, Any]]], list[str]]:
    return lambda entries: [name] if name in entries else []


def _mulan_sets(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = {n: e for n, e in entries.items() if e.get("original_source") == MULAN}
    return accuracy.in_order_of_cost(found)


COMMON = ("skmtl default", "skmtl independent", "rf", "ridge")

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "school",
            _named("school"),
            lambda _entry: SCHOOL_SPLITS,
            school_split,
            explained_variance,
            (*COMMON, "ridge pooled"),
        ),
        Part("tox21", _named("tox21"), lambda _entry: TOX21_SPLITS, tox21_split, mean_auc, COMMON),
        Part(
            "mulan",
            _mulan_sets,
            lambda entry: 1 if "split_column" in entry else N_FOLDS,
            mulan_split,
            arrmse,
            COMMON,
        ),
    )
}
