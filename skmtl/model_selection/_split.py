"""Splitters that keep class shares and label presence of every task."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skmtl.tasks import (
    TargetEncoder,
    Targets,
    Task,
    TaskWarning,
    read_groups,
    stratified_folds,
)


class _TaskKFold(BaseCrossValidator):
    """K folds that are even in every task, of rows or of what belongs together."""

    def __init__(self, n_splits: int = 5, *, tasks: Any = None, random_state: Any = None) -> None:
        self.n_splits = n_splits
        self.tasks = tasks
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        int
            Folds.
        """
        return self.n_splits

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Any]:
        units, n_units, codes = self._units(_num_samples(y if X is None else X), groups)
        if not isinstance(self.n_splits, Integral) or not 2 <= int(self.n_splits) <= n_units:
            raise ValueError(
                "Parameter `n_splits` must be a whole number of at least 2 and at most the number of "
                f"{units}, {n_units}. Found `n_splits = {self.n_splits!r}`."
            )
        targets, tasks = _encode(y, self.tasks)
        shares, random = np.full(self.n_splits, 1 / self.n_splits), self.random_state
        folds = stratified_folds(targets, tasks, shares, check_random_state(random), codes)
        for fold in range(self.n_splits):
            yield np.flatnonzero(folds == fold)

    @abstractmethod
    def _units(self, n_rows: int, groups: Any) -> tuple[str, int, np.ndarray | None]:
        """Return what is dealt out: its name, number, and the code of each row's group."""


class TaskStratifiedKFold(_TaskKFold):
    """K folds in which every task has its share of labels and classes.

    Plain folds can leave a task without a label, or without one of its classes, in a fold.
    Here each class, each quantile bin of a regression target, and the missing labels of
    each task are spread evenly (see :func:`skmtl.tasks.stratified_folds`).

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    tasks : object, default=None
        Declarations as for the estimators.  None: inferred from y.
    random_state : int, RandomState or None, default=None
        Seed for the choice among equally good assignments.

    References
    ----------
    K. Sechidis, G. Tsoumakas, I. Vlahavas: On the Stratification of Multi-Label Data,
    ECML PKDD 2011, Algorithm 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmtl.model_selection import TaskStratifiedKFold
    >>> Y = pd.DataFrame({"kind": ["a", "b"] * 4, "size": [1.5, None] * 4})
    >>> for train, test in TaskStratifiedKFold(n_splits=2, random_state=0).split(Y, Y):
    ...     print("".join(sorted(Y.iloc[test]["kind"])))
    aabb
    aabb
    """

    def _units(self, n_rows: int, groups: Any) -> tuple[str, int, None]:
        return "rows", n_rows, None


class TaskStratifiedGroupKFold(_TaskKFold):
    """K folds of whole groups, as even in every task as the groups allow.

    To score a model on persons, machines or days that it has not seen, all rows of one have to be
    on one side of a split.  Among such splits this takes one in which the classes, the quantile
    bins of regression targets and the missing labels of each task are spread evenly (see
    :func:`skmtl.tasks.stratified_folds`).  It is scikit-learn's ``StratifiedGroupKFold`` for
    several tasks of any kind.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of groups.
    tasks : object, default=None
        Declarations as for the estimators.  None: inferred from y.
    random_state : int, RandomState or None, default=None
        Seed for the choice among equally good assignments.

    References
    ----------
    K. Sechidis, G. Tsoumakas, I. Vlahavas: On the Stratification of Multi-Label Data,
    ECML PKDD 2011, Algorithm 1 (the criterion; here groups are dealt out, the largest first).

    Examples
    --------
    >>> import pandas as pd
    >>> from skmtl.model_selection import TaskStratifiedGroupKFold
    >>> Y = pd.DataFrame({"kind": ["a", "b"] * 4, "size": [1.5, None] * 4})
    >>> who = ["Ann", "Ann", "Bo", "Bo", "Cy", "Cy", "Di", "Di"]
    >>> for _, test in TaskStratifiedGroupKFold(2, random_state=0).split(Y, Y, groups=who):
    ...     print([who[row] for row in test])
    ['Ann', 'Ann', 'Di', 'Di']
    ['Bo', 'Bo', 'Cy', 'Cy']
    """

    # scikit-learn's own splitters by groups ask for them, where it routes metadata.
    __metadata_request__split: ClassVar = {"groups": True}

    def _units(self, n_rows: int, groups: Any) -> tuple[str, int, np.ndarray]:
        if groups is None:
            raise ValueError(
                "TaskStratifiedGroupKFold needs `groups`: which rows belong together. Pass them to "
                "`split`, or to what cross-validates."
            )
        codes = read_groups(groups, n_rows)
        return "groups", len(np.unique(codes)), codes


class TaskStratifiedShuffleSplit(BaseShuffleSplit):
    """Random splits in which every task has its share of labels and classes.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits.
    test_size : float, default=0.2
        Share of the rows in each test part, in (0, 1).
    tasks : object, default=None
        Declarations as for the estimators.  None: inferred from y.
    random_state : int, RandomState or None, default=None
        Seed.

    References
    ----------
    K. Sechidis, G. Tsoumakas, I. Vlahavas: On the Stratification of Multi-Label Data,
    ECML PKDD 2011, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmtl.model_selection import TaskStratifiedShuffleSplit
    >>> y = np.array([0, 1] * 10)
    >>> train, test = next(TaskStratifiedShuffleSplit(random_state=0).split(y, y))
    >>> int(y[test].sum()), len(test)
    (2, 4)
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float = 0.2,
        tasks: Any = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(n_splits=n_splits, test_size=test_size, random_state=random_state)
        self.tasks = tasks

    def _iter_indices(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        if not isinstance(self.test_size, Real) or not 0 < float(self.test_size) < 1:
            raise ValueError(
                "Parameter `test_size` must be a number between 0 and 1. Found "
                f"`test_size = {self.test_size!r}`."
            )
        targets, tasks = _encode(y, self.tasks)
        random = check_random_state(self.random_state)
        shares = np.array([1 - self.test_size, self.test_size])
        for _ in range(self.n_splits):
            test = stratified_folds(targets, tasks, shares, random) == 1
            if test.all() or not test.any():
                raise ValueError(
                    f"`test_size = {self.test_size!r}` of {len(test)} rows leaves one part empty. "
                    "Change it, or bring more rows."
                )
            yield (
                random.permutation(np.flatnonzero(~test)),
                random.permutation(np.flatnonzero(test)),
            )


def _encode(y: Any, declared: Any) -> tuple[Targets, tuple[Task, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)  # the estimators will tell
        encoder = TargetEncoder(declared).fit(y)
    return encoder.transform(y), encoder.tasks_
