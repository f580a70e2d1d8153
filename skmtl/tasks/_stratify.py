"""Rows, or groups of them -> folds that keep class shares and labels of every task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import check_consistent_length

from skmtl.tasks._encoder import Targets
from skmtl.tasks._task import Task, column_spans

#: Regression targets are stratified over this many quantile bins.
N_BINS = 5
#: As many classes of a task, the most frequent ones, are dealt out one by one.
MAX_CLASSES = 300
#: Passes over the rows that even out what the deal left.
MAX_ROUNDS = 100


def stratified_folds(
    targets: Targets,
    tasks: tuple[Task, ...],
    shares: np.ndarray,
    random_state: np.random.RandomState,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Assign each row to a fold by iterative stratification over all tasks.

    The rarest stratum (a class, a quantile bin or a missing label of some task) is dealt
    out first, to the folds that still want most of it; then the next rarest among the rows
    that are left.  Of a task of more than 300 classes the rare ones are one stratum, which is
    dealt out in the order of its classes.

    Parameters
    ----------
    targets : Targets
        The rows.
    tasks : tuple of Task
        Their tasks.
    shares : ndarray of shape (n_folds,)
        The share of rows that each fold shall get; sums to 1.
    random_state : numpy.random.RandomState
        Breaks ties.
    groups : ndarray of shape (n_samples,), int, default=None
        Codes from 0, none left out, of rows that go to one fold together.  Then the largest
        group is dealt out first, to the fold that it suits best.

    Returns
    -------
    ndarray of shape (n_samples,), int
        The fold of each row.  With groups none is empty, if there are as many as folds.

    Notes
    -----
    Departure: the paper deals out one row after the other; here all rows of a stratum are
    dealt out at once, sorted by their other strata, which needs one pass per stratum in
    place of one per row.  What many tasks leave uneven is then evened out by moving single
    rows as long as the sum of squared deviations falls.

    References
    ----------
    K. Sechidis, G. Tsoumakas, I. Vlahavas: On the Stratification of Multi-Label Data,
    ECML PKDD 2011, Algorithm 1.
    """
    codes = _codes(targets, tasks)  # (n_samples, n_tasks), more with a multilabel task
    if groups is not None:
        return _group_folds(codes, groups, shares, random_state)[groups]
    strata, owners = _strata(codes)  # (n_samples, n_strata), task of a stratum of many classes
    folds = np.full(len(targets), -1)
    counts = strata.sum(axis=0)
    wanted = counts[:, None] * shares  # (n_strata, n_folds), still to be given
    room = len(targets) * shares
    tie = random_state.permutation(len(targets))
    left = counts.copy()
    while (left > 0).any():
        rarest = int(np.where(left > 0, left, np.inf).argmin())
        rows = np.flatnonzero(strata[:, rarest] & (folds < 0))
        keys = strata[np.ix_(rows, np.argsort(counts)[::-1])].T
        by_class = [codes[rows, owners[rarest]]] if rarest in owners else []
        rows = rows[np.lexsort((tie[rows], *keys, *by_class))]
        folds[rows] = _deal(
            len(rows), wanted[rarest], room, shares, random_state.permutation(len(shares))
        )
        for fold in range(len(shares)):
            given = strata[rows[folds[rows] == fold]].sum(axis=0)
            wanted[:, fold] -= given
            room[fold] -= (folds[rows] == fold).sum()
            left -= given
    return _even_out(folds, _member(codes), shares, tie)


def read_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Check groups of rows, and number them.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        Anything that tells groups apart: numbers, words, dates.
    n_samples : int
        Number of rows.

    Returns
    -------
    ndarray of shape (n_samples,), int
        Codes from 0, none left out.

    Raises
    ------
    ValueError
        If there is not one group for each row.
    """
    if isinstance(groups, np.ma.MaskedArray):
        groups = groups.tolist()  # None where masked
    column = np.asarray(groups)
    if column.ndim != 1:
        raise ValueError(f"`groups` must have one entry per row. Found shape {column.shape}.")
    if isinstance(groups, list | tuple):  # as they are: an array would make words of all
        column = np.array([*groups, None], dtype=object)[:-1]
    check_consistent_length(np.empty(n_samples), column)
    codes, _ = pd.factorize(column)
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise ValueError(
            f"`groups` must say of each row to which group it belongs. Found {column[row]} in row "
            f"{row}. A row that belongs to no other is a group of its own."
        )
    return np.asarray(codes)


def _group_folds(
    codes: np.ndarray, groups: np.ndarray, shares: np.ndarray, random_state: np.random.RandomState
) -> np.ndarray:
    """Return the fold of each group."""
    n_samples, n_groups = len(groups), int(groups.max()) + 1
    rows_of = sparse.csr_array(
        (np.ones(n_samples), (groups, np.arange(n_samples))), shape=(n_groups, n_samples)
    )
    member = rows_of @ _member(codes)  # (n_groups, n_strata), counts of rows
    above = -member.sum(axis=0)[:, None] * shares  # (n_strata, n_folds)
    tie = random_state.permutation(n_groups)
    folds, is_empty = np.empty(n_groups, dtype=np.intp), np.ones(len(shares), dtype=bool)
    order = np.lexsort((tie, -np.bincount(groups)))
    for n_left, group in zip(range(n_groups, 0, -1), order, strict=True):
        entries = slice(member.indptr[group], member.indptr[group + 1])
        strata, counts = member.indices[entries], member.data[entries]
        burden = counts @ above[strata]  # (n_folds,)
        if n_left <= is_empty.sum():
            burden[~is_empty] = np.inf
        folds[group] = fold = burden.argmin()
        is_empty[fold] = False
        above[strata, fold] += counts
    return _even_out(folds, member, shares, tie)


def _even_out(
    folds: np.ndarray, member: sparse.csr_array, shares: np.ndarray, tie: np.ndarray
) -> np.ndarray:
    """Move rows, or groups of them, between folds while that lowers the sum of squared deviations.

    A move of i from fold f to g changes the sum over strata s (every class, and the size of the
    folds) by ``2 * sum_s c_is * (d_sg - d_sf + c_is)``, with d the count above the ideal one, and
    c what i has of it: of a single row, 0 or 1.
    """
    n, n_filled = len(folds), np.count_nonzero(np.bincount(folds))
    ideal = member.sum(axis=0)[:, None] * shares
    n_own = member.multiply(member).sum(axis=1)

    def deviations(folds: np.ndarray) -> np.ndarray:
        return member.T @ (folds[:, None] == np.arange(len(shares))) - ideal

    above = deviations(folds)
    n_moves, rows = n, np.arange(n)
    for _ in range(MAX_ROUNDS):
        burden = member @ above  # (n_samples, n_folds)
        target = burden.argmin(axis=1)
        gain = burden[rows, folds] - burden[rows, target] - n_own
        movable = np.flatnonzero(gain > 0)
        movable = movable[np.lexsort((tie[movable], -gain[movable]))]
        # Moves spoil each other: fewer at once until the sum falls, as it does for one.
        n_moves = min(n_moves, len(movable))
        while n_moves > 0:
            chosen = movable[:n_moves]
            moved = folds.copy()
            moved[chosen] = target[chosen]
            new = deviations(moved)
            is_better = (new**2).sum() < (above**2).sum()
            if is_better and np.count_nonzero(np.bincount(moved)) >= n_filled:
                break
            n_moves //= 2
        if n_moves == 0:
            break
        folds, above = moved, new
    return folds


def _deal(
    n_rows: int, wanted: np.ndarray, room: np.ndarray, shares: np.ndarray, tie: np.ndarray
) -> np.ndarray:
    """Return the fold of each of `n_rows` rows: most to who wants most, evenly interleaved."""
    # Water level: what every fold that gets anything still wants afterwards.
    ordered = np.sort(wanted)[::-1]
    levels = (np.cumsum(ordered) - n_rows) / np.arange(1, len(wanted) + 1)
    level = levels[np.flatnonzero(ordered > levels)[-1]]
    quota = np.maximum(wanted - level, 0.0)
    whole = np.floor(quota + 1e-9).astype(np.intp)
    # Rows left over go to the largest remainders; then to the folds with most room.
    remainder = quota - whole
    if np.ptp(shares) > 1e-9:
        # What a small fold was not given so far counts: of many small strata it would get nothing,
        # and then all of the last ones.
        remainder = remainder + room - shares * room.sum()
    remainder = np.round(remainder, 6)
    extra = np.lexsort((tie, -room, -remainder))[: n_rows - whole.sum()]
    whole[extra] += 1
    folds = np.repeat(np.arange(len(wanted)), whole)
    place = np.concatenate([(np.arange(q) + 0.5) / q for q in whole if q])
    return folds[np.lexsort((tie[folds], place))]


def _codes(targets: Targets, tasks: tuple[Task, ...]) -> np.ndarray:
    """Return the class or quantile bin of each row in each task, -1 where it has no label.

    A multilabel task has a column of codes for each of its own.
    """
    codes = []
    for task, span in zip(tasks, column_spans(tasks), strict=True):
        if task.has_classes:
            own = np.where(targets.mask[:, span], targets.values[:, span], -1)
            codes.append(own.astype(np.intp))
            continue
        code = np.full(len(targets), -1)
        present = targets.mask[:, span].any(axis=1)
        if present.any():
            level = _level(targets.values[present, span], targets.mask[present, span])
            edges = np.unique(np.quantile(level, np.linspace(0, 1, N_BINS + 1)[1:-1]))
            code[present] = np.searchsorted(edges, level, side="right")
        codes.append(code[:, None])
    return np.hstack(codes)


def _level(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return one number for each row: of several columns the mean in units of their spreads."""
    if values.shape[1] == 1:
        return values[:, 0]
    known = np.ma.masked_array(values, ~mask)
    apart, spread = known - known.mean(axis=0), known.std(axis=0)
    spread = np.ma.masked_equal(spread, 0.0)  # a constant says nothing of a row
    level: np.ndarray = (apart / spread).mean(axis=1).filled(0.0)
    return level


def _strata(codes: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    """Return which rows are in which stratum, and the task of each stratum of many classes."""
    columns: list[np.ndarray] = []
    owners: dict[int, int] = {}
    for task, code in enumerate(codes.T):
        values, counts = np.unique(code, return_counts=True)
        rank = np.argsort(np.argsort(np.where(values < 0, -np.inf, -counts), kind="stable"))
        own = values[rank < MAX_CLASSES + (values[0] < 0)]
        columns.extend(code == value for value in own)
        if len(own) < len(values):
            owners[len(columns)] = task
            columns.append(~np.isin(code, own))
    return np.column_stack(columns), owners


def _member(codes: np.ndarray) -> sparse.csr_array:
    """Return which rows are in which class, bin or gap of each task, and a column of ones."""
    columns, n_columns = [], 0
    for code in codes.T:
        values, places = np.unique(code, return_inverse=True)
        columns.append(places + n_columns)
        n_columns += len(values)
    columns.append(np.full(len(codes), n_columns))
    places = np.column_stack(columns)
    starts = np.arange(len(codes) + 1) * places.shape[1]
    shape = (len(codes), n_columns + 1)
    return sparse.csr_array((np.ones(places.size), places.ravel(), starts), shape=shape)
