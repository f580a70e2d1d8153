"""Rows -> folds that keep class shares and label presence of every task."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from skmtl.tasks._encoder import Targets
from skmtl.tasks._task import Task

#: Regression targets are stratified over this many quantile bins.
N_BINS = 5
#: Passes over the rows that even out what the deal left.
MAX_ROUNDS = 100


def stratified_folds(
    targets: Targets,
    tasks: tuple[Task, ...],
    shares: np.ndarray,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Assign each row to a fold by iterative stratification over all tasks.

    The rarest stratum (a class, a quantile bin or a missing label of some task) is dealt
    out first, to the folds that still want most of it; then the next rarest among the rows
    that are left.

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

    Returns
    -------
    ndarray of shape (n_samples,), int
        The fold of each row.

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
    strata = _strata(targets, tasks)  # (n_samples, n_strata)
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
        rows = rows[np.lexsort((tie[rows], *keys))]
        folds[rows] = _deal(len(rows), wanted[rarest], room, random_state.permutation(len(shares)))
        for fold in range(len(shares)):
            given = strata[rows[folds[rows] == fold]].sum(axis=0)
            wanted[:, fold] -= given
            room[fold] -= (folds[rows] == fold).sum()
        left = strata[folds < 0].sum(axis=0)
    return _even_out(folds, strata, shares, tie)


def _even_out(
    folds: np.ndarray, strata: np.ndarray, shares: np.ndarray, tie: np.ndarray
) -> np.ndarray:
    """Move rows between folds while that lowers the sum of squared deviations.

    A move of row i from fold f to g changes the sum over its strata s (and over the size of
    the folds) by ``2 * sum_s (d_sg - d_sf + 1)``, with d the count above the ideal one.
    """
    n = len(folds)
    member = sparse.csr_array(np.column_stack([strata, np.ones(n, dtype=bool)]), dtype=np.float64)
    ideal = member.sum(axis=0)[:, None] * shares
    n_own = member.sum(axis=1)

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
            if (new**2).sum() < (above**2).sum():
                break
            n_moves //= 2
        if n_moves == 0:
            break
        folds, above = moved, new
    return folds


def _deal(n_rows: int, wanted: np.ndarray, room: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Return the fold of each of `n_rows` rows: most to who wants most, evenly interleaved."""
    # Water level: what every fold that gets anything still wants afterwards.
    ordered = np.sort(wanted)[::-1]
    levels = (np.cumsum(ordered) - n_rows) / np.arange(1, len(wanted) + 1)
    level = levels[np.flatnonzero(ordered > levels)[-1]]
    quota = np.maximum(wanted - level, 0.0)
    whole = np.floor(quota + 1e-9).astype(np.intp)
    # Rows left over go to the largest remainders; then to the folds with most room.
    remainder = np.round(quota - whole, 6)
    extra = np.lexsort((tie, -room, -remainder))[: n_rows - whole.sum()]
    whole[extra] += 1
    folds = np.repeat(np.arange(len(wanted)), whole)
    place = np.concatenate([(np.arange(q) + 0.5) / q for q in whole if q])
    return folds[np.lexsort((tie[folds], place))]


def _strata(targets: Targets, tasks: tuple[Task, ...]) -> np.ndarray:
    columns: list[np.ndarray] = []
    start = 0
    for task in tasks:
        span = slice(start, start + task.n_columns)
        start = span.stop
        present = targets.mask[:, span].any(axis=1)
        code = np.full(len(targets), -1)
        if task.has_classes:
            code[present] = targets.values[present, span.start].astype(np.intp)
        elif present.any():
            mean = targets.values[:, span].mean(axis=1)
            edges = np.unique(np.quantile(mean[present], np.linspace(0, 1, N_BINS + 1)[1:-1]))
            code[present] = np.searchsorted(edges, mean[present], side="right")
        columns.extend(code == value for value in np.unique(code))
    return np.column_stack(columns)
