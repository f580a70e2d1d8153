"""Sets of the catalogue as tables, and which of their rows are learnt from and which tested.

Which rows are used hangs on the name of the set and the number of the repeat alone: not on the
model, and not on skmtl's own splitters, so that rows of a file stay comparable while those change.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

MOST_ROWS = 6_000  # to learn from and to test
FEW_ROWS = 1_000  # below it five repeats, and three inner folds
TEST = 0.25  # share of the test rows
N_GROUP_FOLDS = 4  # of whole groups, one of which is tested
KEPT = 0.9  # share of each side of a given split that a repeat draws
N_DRAWS = 30  # random splits of which the most even one is taken
N_BLOCKS = 5  # of rows in the order of time
N_FOLDS = 3  # inner folds on small tables

Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Table:
    """Features and targets, what the targets are, and what a split must heed."""

    name: str
    X: pd.DataFrame
    Y: pd.DataFrame
    tasks: Mapping[str, str]  # column of Y to "regression", "binary" or "multiclass"
    groups: np.ndarray | None = None
    given_test: np.ndarray | None = None  # whether a row is for tests
    in_time: bool = False
    classes: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def make(cls, name: str, X: pd.DataFrame, Y: pd.DataFrame, tasks: Any, **facts: Any) -> Table:
        """Return the table with the classes of its tasks."""
        labels = {
            task: np.sort(Y[task].dropna().unique())
            for task, kind in tasks.items()
            if kind != "regression"
        }
        return cls(name, X, Y[list(tasks)], dict(tasks), classes=labels, **facts)

    @classmethod
    def load(cls, folder: Path, entry: Mapping[str, Any]) -> Table:
        """Return a set of the catalogue."""
        path = folder / entry["file"]
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        tasks = {task["column"]: task["kind"] for task in entry["tasks"]}
        group, given = entry.get("group_column"), entry.get("split_column")
        facts = {
            "groups": None if group is None else _numbered(frame[group]),
            "given_test": None if given is None else (frame[given] == "test").to_numpy(bool),
            "in_time": split_kind(entry) == "in time",
        }
        X = frame[list(dict.fromkeys(entry["features"]))]
        return cls.make(entry["name"], _finite(X), frame[list(tasks)], tasks, **facts)

    @cached_property
    def targets(self) -> np.ndarray:
        """Numbers and class codes, NaN where there is no label; shape (sample, task)."""
        columns = []
        for task in self.tasks:
            y = self.Y[task]
            if task in self.classes:
                codes = pd.Index(self.classes[task]).get_indexer(pd.Index(y)).astype(float)
                codes[y.isna().to_numpy()] = np.nan
                columns.append(codes)
            else:
                columns.append(y.to_numpy(float, na_value=np.nan))
        return np.column_stack(columns)

    def take(self, rows: np.ndarray) -> Table:
        """Return some rows; classes stay those of the whole set."""
        return replace(
            self,
            X=self.X.iloc[rows].reset_index(drop=True),
            Y=self.Y.iloc[rows].reset_index(drop=True),
            groups=None if self.groups is None else self.groups[rows],
            given_test=None if self.given_test is None else self.given_test[rows],
        )

    def only(self, tasks: Sequence[str]) -> Table:
        """Return some of the tasks."""
        kinds = {task: self.tasks[task] for task in tasks}
        return replace(self, Y=self.Y[list(tasks)], tasks=kinds)


def _numbered(groups: pd.Series) -> np.ndarray:
    """Number groups; a row without one is a group of its own."""
    codes = pd.factorize(groups)[0]
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes


def _finite(X: pd.DataFrame) -> pd.DataFrame:
    """Take infinite numbers for missing, for all models: none of them can read these."""
    numbers = X.select_dtypes("floating")
    wild = numbers.columns[np.isinf(numbers).any()]
    return X.assign(**{c: X[c].where(~np.isinf(X[c])) for c in wild}) if len(wild) else X


def split_kind(entry: Mapping[str, Any]) -> str:
    """Say how the rows of a set of the catalogue are split."""
    if "split_column" in entry:
        return "given"
    if "group_column" in entry:
        return "grouped"
    return "in time" if "time_ordered" in entry.get("tags", ()) else "random"


def n_repeats(n_rows: int) -> int:
    """Return how often a set of so many rows is split."""
    return 5 if n_rows < FEW_ROWS else 3


def split(table: Table, repeat: int, most: float = MOST_ROWS) -> Parts:
    """Return rows to learn from and test rows, in random order."""
    random = np.random.default_rng([zlib.crc32(table.name.encode()), repeat])
    most_train, most_test = (1 - TEST) * most, TEST * most
    rows = np.arange(len(table.X))
    if table.given_test is not None:
        train, test = rows[~table.given_test], rows[table.given_test]
        most_train = min(most_train, KEPT * len(train))
        most_test = min(most_test, KEPT * len(test), most_train * TEST / (1 - TEST))
    elif table.groups is not None:
        fold = (
            _group_folds(table.name, table.groups, repeat // N_GROUP_FOLDS)
            == repeat % N_GROUP_FOLDS
        )
        train, test = rows[~fold], rows[fold]
    elif table.in_time:
        blocks = np.array_split(rows, N_BLOCKS)
        test = blocks[N_BLOCKS - 1 - repeat % N_BLOCKS]
        train = np.setdiff1d(rows, test)
    else:
        some = random.permutation(rows)[: int(min(most, len(rows)))]
        train, test = (some[part] for part in _most_even(table.take(some), random))
    train, test = random.permutation(train), random.permutation(test)
    return train[: int(min(most_train, len(train)))], test[: int(min(most_test, len(test)))]


def inner_splits(table: Table, seed: int) -> list[Parts]:
    """Return the parts of training rows that a search learns from and judges by."""
    random = np.random.default_rng([zlib.crc32(table.name.encode()), seed, 1])
    if len(table.X) >= FEW_ROWS:
        if table.groups is not None:
            fold = _group_folds(table.name, table.groups, seed) == 0
            return [(np.flatnonzero(~fold), np.flatnonzero(fold))]
        return [_most_even(table, random)]
    if table.groups is not None:
        folds: Any = GroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    else:
        # Rows in time came in random order: blocks of them are no blocks any more.
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(table.X, groups=table.groups))


def fingerprint(train: np.ndarray, test: np.ndarray) -> str:
    """Return a short name of a split, by which a file of rows knows it again."""
    return f"{zlib.crc32(train.tobytes() + b'|' + test.tobytes()):08x}"


def _group_folds(name: str, groups: np.ndarray, seed: int) -> np.ndarray:
    """Deal whole groups, large ones first, to the fold with the fewest rows; return its number.

    Folds, and not draws: of few groups two draws are easily the same.
    """
    random = np.random.default_rng([zlib.crc32(name.encode()), seed, 2])
    counts = np.bincount(groups)
    order = random.permutation(len(counts))
    sizes, folds = np.zeros(N_GROUP_FOLDS), np.zeros(len(counts), int)
    for group in order[np.argsort(-counts[order], kind="stable")]:
        folds[group] = sizes.argmin()
        sizes[folds[group]] += counts[group]
    return folds[groups]


def _most_even(table: Table, random: np.random.Generator) -> Parts:
    """Of some random splits, take the one whose sides are most alike in labels and classes."""
    marks = _marks(table)
    n_test = round(TEST * len(marks))
    spread = marks.std(axis=0)
    marks = (marks - marks.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    best, least = np.array([], int), np.inf
    for _ in range(N_DRAWS):
        order = random.permutation(len(marks))
        uneven = float((marks[order[:n_test]].mean(axis=0) ** 2).sum())
        if uneven < least:
            best, least = order, uneven
    return best[n_test:], best[:n_test]


def _marks(table: Table) -> np.ndarray:
    """Return what shall be even: labels that are there, classes, numbers; (sample, mark)."""
    columns = []
    for y, task in zip(table.targets.T, table.tasks, strict=True):
        known = ~np.isnan(y)
        columns.append(known.astype(float))
        if task in table.classes:
            columns += [(y == code).astype(float) for code in range(len(table.classes[task]))]
        elif known.any():
            columns.append(np.where(known, y, y[known].mean()))
    return np.column_stack(columns)
