"""X, y and weights as they come -> checked rows, and which of them train or judge."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _get_feature_names

from skmtl.estimators._building import resolve_trunk
from skmtl.estimators._weights import cell_weights, check_sample_weight
from skmtl.features import read_features
from skmtl.layers import Seeds
from skmtl.tasks import Targets, Task, column_spans, read_groups, stratified_folds

#: "auto" stops early from this many labelled rows on; below, a validation part says little.
EARLY_STOPPING_ROWS = 100

#: Members of ``n_members="auto"``, where each leaves out a fold.
N_MEMBERS = 8

#: With folds it stops early from this many labelled rows for each member on.
ROWS_PER_MEMBER = 3


@dataclass(frozen=True)
class Rows:
    """Checked rows: features, targets and a weight for each cell.

    Parameters
    ----------
    X : DataFrame, ndarray or sparse matrix of shape (n_read, ...)
        Features as they came, of these rows and maybe others: they are never copied.
    targets : Targets
        Encoded targets.
    weights : ndarray of shape (n_samples, n_columns)
        Weights of the cells.
    row_weights : ndarray of shape (n_samples,)
        Weights of the rows, for the means and scales of features.
    index : ndarray of shape (n_samples,), int64, default=None
        Which rows of X these are; None: all.
    draws : ndarray of shape (n_members, n_samples), uint16, default=None
        How often each member learns from each row; it is judged by those that it never does.
        None: all members learn from all rows.
    groups : ndarray of shape (n_samples,), int, default=None
        Of rows that are held out together.  None: each row by itself.
    """

    X: Any
    targets: Targets
    weights: np.ndarray
    row_weights: np.ndarray
    index: np.ndarray | None = None
    draws: np.ndarray | None = None
    groups: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Rows:
        """Select rows.

        Parameters
        ----------
        rows : ndarray of int
            Which rows.

        Returns
        -------
        Rows
            The selected rows.
        """
        index = rows if self.index is None else self.index[rows]
        targets = self.targets.take(rows)
        groups = None if self.groups is None else self.groups[rows]
        return Rows(
            self.X, targets, self.weights[rows], self.row_weights[rows], index, groups=groups
        )

    @property
    def n_units(self) -> int:
        """Number of what is held out as a whole: groups, or rows."""
        return len(self) if self.groups is None else len(np.unique(self.groups))

    def labelled(self) -> Rows:
        """Leave out rows without any label of positive weight."""
        keep = (self.weights > 0).any(axis=1)
        return self if keep.all() else self.take(np.flatnonzero(keep))

    def most_labels(self, tasks: tuple[Task, ...]) -> int:
        """Count the labels of positive weight of the task that has most of them.

        Parameters
        ----------
        tasks : tuple of Task
            In the order of their columns.

        Returns
        -------
        int
            Rows.
        """
        counted = self.weights > 0
        return max(int(counted[:, own].any(axis=1).sum()) for own in column_spans(tasks))

    def judged(self) -> tuple[Targets, np.ndarray]:
        """Select what networks are judged by: the rows that a member left out, or all.

        Returns
        -------
        targets : Targets
            Encoded targets.
        weights : ndarray of shape (n_rows, n_columns)
            Weights of the cells.
        """
        if self.draws is None:
            return self.targets, self.weights
        rows = np.flatnonzero((self.draws == 0).any(axis=0))
        return self.targets.take(rows), self.weights[rows]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)


def read_rows(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    is_read: bool,
    groups: Any = None,
) -> Rows:
    """Check features, targets, weights and groups.

    Parameters
    ----------
    estimator : estimator
        Whose features, tasks and parameters count.
    X, y, sample_weight : as in `fit`
        The data.
    is_read : bool
        Whether X has been through :func:`skmtl.features.read_features`.
    groups : as in `fit`, default=None
        Which rows are held out together.

    Returns
    -------
    Rows
        The rows that have a label of positive weight.

    Raises
    ------
    ValueError
        If something is wrong with them, or there is no label at all.
    """
    if not is_read:
        X = read_features(estimator, X, reset=False, allow_nan=estimator.preprocess is not None)
    encoder = estimator._encoder
    targets = encoder.transform(y)
    check_consistent_length(X, targets.values)
    by_task = check_sample_weight(sample_weight, len(targets), encoder.tasks_)
    weights = cell_weights(by_task, estimator.class_weight, targets, encoder)
    # A label hidden by weight 0 is a missing label, from here on and in every way.
    targets = Targets(targets.values, weights > 0)
    n_columns = [task.n_columns for task in encoder.tasks_]
    row_weights = np.where(targets.mask, np.repeat(by_task, n_columns, axis=1), 0.0).max(axis=1)
    codes = None if groups is None else read_groups(groups, len(targets))
    rows = Rows(X, targets, weights, row_weights, groups=codes).labelled()
    if len(rows) == 0:
        raise ValueError(
            "y has no label at all: every cell is missing or of weight 0. At least one task "
            "must have labelled rows."
        )
    return rows


def choose_members(estimator: Any, rows: Rows, validation: Any, *, is_partial: bool) -> int:
    """Choose how many networks to train side by side.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    rows : Rows
        Labelled rows.
    validation : tuple or None
        X_val, y_val and sample_weight_val, if the user gave them.
    is_partial : bool
        Whether this is one pass of `partial_fit`.

    Returns
    -------
    int
        ``n_members``; for ``"auto"`` several if each is to leave out a fold, else 1.
    """
    if estimator.n_members != "auto":
        return int(estimator.n_members)
    is_judged = estimator.bagging is not None and estimator.early_stopping and validation is None
    if (
        is_partial
        or estimator.preset == "fast"
        or not is_judged
        or len(rows) < ROWS_PER_MEMBER * N_MEMBERS
        or rows.n_units < 2
    ):
        return 1
    # Images and modules of the user's cost as many times as much, and TabM is many nets by itself.
    trunk = resolve_trunk(estimator)
    return 1 if trunk.takes_arrays or trunk.n_submodels > 1 else N_MEMBERS


def choose_rows(
    estimator: Any, rows: Rows, validation: Any, seeds: Seeds, *, is_partial: bool
) -> tuple[Rows, Rows | None, bool]:
    """Choose training and validation rows, and whether to stop early.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read; its tasks are known.
    rows : Rows
        Labelled rows.
    validation : tuple or None
        X_val, y_val and sample_weight_val, if the user gave them.
    seeds : Seeds
        Sources of randomness.
    is_partial : bool
        Whether this is one pass of `partial_fit`.

    Returns
    -------
    train, valid : Rows
        The latter is None if nothing is held out, or each member holds out a fold.
    stops : bool
        Whether to stop early.
    """
    if is_partial:
        return rows, None, False
    is_bagged = estimator.bagging is not None and estimator.n_members_ > 1
    if is_bagged and estimator.bagging == "bootstrap":
        rows = _with_draws(estimator, rows, seeds)
    if validation is not None:
        return rows, _judges(estimator, *validation), bool(estimator.early_stopping)
    stops = estimator.early_stopping
    if stops == "auto":
        least = ROWS_PER_MEMBER * estimator.n_members_ if is_bagged else EARLY_STOPPING_ROWS
        stops = len(rows) >= least
    if not stops:
        return rows, None, False
    if is_bagged:
        train, valid = rows if rows.draws is not None else _with_folds(estimator, rows, seeds), None
        is_parted = train.draws is not None and bool((train.draws == 0).any())
    else:
        train, valid = split_rows(rows, estimator.tasks_, estimator.validation_fraction, seeds)
        is_parted = len(valid) > 0
    if is_parted:
        return train, valid, True
    if not is_bagged and rows.groups is None:
        raise ValueError(
            f"Early stopping needs training and validation rows, but `validation_fraction = "
            f"{estimator.validation_fraction!r}` of {len(rows)} labelled rows leaves one part empty. "
            "Change it, pass X_val and y_val, or set `early_stopping=False`."
        )
    if estimator.early_stopping == "auto":
        if rows.groups is not None:
            warnings.warn(
                f"`groups` has {rows.n_units} group{'s' * (rows.n_units > 1)} of labelled rows, and none "
                "can be held out: each has all labels of a task. The fit goes on to `max_epochs`, without "
                "rows that judge it.",
                UserWarning,
                stacklevel=2,
            )
        return rows, None, False
    raise ValueError(
        "Early stopping holds out rows, and whole groups, whose labels are not all that a task has. "
        "There are none: bring more rows or groups, or X_val and y_val, or set `early_stopping=False`."
    )


def _judges(estimator: Any, X: Any, y: Any, weight: Any) -> Rows:
    """Read the validation rows that the user gave."""
    if _get_feature_names(X) is not None and not hasattr(estimator, "feature_names_in_"):
        raise ValueError(
            "X_val has names of columns, and X has none. Give both as frames, or both as arrays. "
            "In a Pipeline X has been through the steps before, which `net__X_val=` skips: pass "
            "X_val by metadata routing, with `transform_input=['X_val']`."
        )
    return read_rows(estimator, X, y, weight, is_read=False)


def _with_folds(estimator: Any, rows: Rows, seeds: Seeds) -> Rows:
    """Part the rows into one fold per member, which leaves it out; few groups into fewer."""
    n_members = estimator.n_members_
    if len(rows) < 2 * n_members:
        raise ValueError(
            f"With `bagging='folds'` and early stopping each member leaves out a fold, and "
            f"{len(rows)} labelled rows are too few for `n_members = {n_members}`. Set "
            "`n_members=1`, `bagging=None` or `early_stopping=False`."
        )
    n_folds = min(n_members, rows.n_units)
    shares = np.full(n_folds, 1 / n_folds)
    folds = _folds(rows, estimator.tasks_, shares, _random(estimator, seeds))
    left_out = np.stack([_may_be_left_out(rows, folds == fold) for fold in range(n_folds)])
    return replace(rows, draws=(~left_out[np.arange(n_members) % n_folds]).astype(np.uint16))


def _with_draws(estimator: Any, rows: Rows, seeds: Seeds) -> Rows:
    """Draw as many rows, or groups, as there are for each member, with replacement."""
    n, random = rows.n_units, _random(estimator, seeds)
    draws = np.zeros((estimator.n_members_, n), np.uint16)
    for own in draws:
        while not own.any() or (own.all() and n > 1):  # of few, each may be drawn: none is left out
            own[:] = np.bincount(random.randint(n, size=n), minlength=n)
    if rows.groups is not None:
        draws = draws[:, np.unique(rows.groups, return_inverse=True)[1]]
    for own in draws:
        own[(own == 0) & ~_may_be_left_out(rows, own == 0)] = 1
    return replace(rows, draws=draws)


def _may_be_left_out(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Return which of the chosen rows may be left out, so that every column keeps a label.

    Where all labels of a column are among them, their rows stay, and whole groups with them: a
    network that never saw a label of a task would say anything of it, and nobody could tell.
    """
    mask = rows.targets.mask
    only = ~mask[~chosen].any(axis=0)
    if not only.any():
        return chosen
    needed = mask[:, only].any(axis=1)
    if rows.groups is not None:
        needed = np.isin(rows.groups, rows.groups[needed])
    return chosen & ~needed


def _folds(
    rows: Rows, tasks: tuple[Task, ...], shares: np.ndarray, random: np.random.RandomState
) -> np.ndarray:
    """Part the rows, whole groups together."""
    # Numbered anew: rows without a label have left, and maybe whole groups with them.
    groups = None if rows.groups is None else np.unique(rows.groups, return_inverse=True)[1]
    return stratified_folds(rows.targets, tasks, shares, random, groups)


def _random(estimator: Any, seeds: Seeds) -> np.random.RandomState:
    """Return what parts or draws the rows: the same if a fit goes on with them."""
    if estimator._fold_seed is None:
        estimator._fold_seed = seeds.draw()
    return np.random.RandomState(estimator._fold_seed)


def split_rows(rows: Rows, tasks: tuple[Task, ...], fraction: float, seeds: Seeds) -> Any:
    """Part off validation rows that keep class shares and label presence of every task.

    Parameters
    ----------
    rows : Rows
        Labelled rows.
    tasks : tuple of Task
        Their tasks.
    fraction : float
        Share of validation rows.
    seeds : Seeds
        Sources of randomness.

    Returns
    -------
    train, valid : Rows
        The two parts; the latter is empty where nothing can be parted off.
    """
    shares = np.array([1 - fraction, fraction])
    folds = _folds(rows, tasks, shares, seeds.random)
    judges = _may_be_left_out(rows, folds == 1)
    return rows.take(np.flatnonzero(~judges)), rows.take(np.flatnonzero(judges))
