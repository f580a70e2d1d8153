"""From what `fit` is given to rows that train or judge, and what is learnt before a network."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skmtl.estimators._contents import contents
from skmtl.estimators._parameters import (
    built_from,
    check_kinds,
    check_parameters,
    check_unchanged,
    check_whole_fit,
)
from skmtl.estimators._preprocessing import fit_preprocessing
from skmtl.estimators._rows import Rows, choose_members, choose_rows, read_rows
from skmtl.features import read_features
from skmtl.layers import Seeds
from skmtl.tasks import TargetEncoder, TargetScaler

#: Parameters that have no say in anything that happens here.
_LATER = frozenset(
    [
        "sharing",
        "loss_weights",
        "hidden_layer_sizes",
        "activation",
        "dropout",
        "n_bins",
        "head_layer_sizes",
        "penalty",
        "optimizer",
        "lr",
        "weight_decay",
        "ema_decay",
        "batch_size",
        "max_epochs",
        "n_iter_no_change",
        "tol",
        "calibration",
        "verbose",
        "n_threads",
        "callbacks",
        "net_params",
        "checkpoint",
        "random_state",
        "deterministic",
    ]
)


class Given(NamedTuple):
    """What `fit` or `partial_fit` is given.

    Parameters
    ----------
    X, y, sample_weight : as in `fit`
        The data.
    validation : tuple or None
        X_val, y_val and sample_weight_val.
    continues : bool
        Whether to go on with the fitted net.
    is_partial : bool
        Whether this is one pass of `partial_fit`.
    classes : as in `partial_fit`
        All classes that will ever occur.
    n_halved : int
        How often the batch size was halved for want of memory.
    groups : as in `fit`
        Which rows are held out together.
    """

    X: Any
    y: Any
    sample_weight: Any = None
    validation: tuple[Any, Any, Any] | None = None
    continues: bool = False
    is_partial: bool = False
    classes: Any = None
    n_halved: int = 0
    groups: Any = None

    @classmethod
    def to_fit(
        cls,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
    ) -> Given:
        """Take the arguments of `fit`.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val, groups : as in `fit`
            The data.

        Returns
        -------
        Given
            For a fit from the start.

        Raises
        ------
        ValueError
            If something of the validation rows is missing.
        """
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together. Found one of them.")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("sample_weight_val is for the rows of X_val. Found it without X_val.")
        validation = None if X_val is None else (X_val, y_val, sample_weight_val)
        return cls(X, y, sample_weight, validation, groups=groups)


class Prepared(NamedTuple):
    """What a net can be built from and trained with.

    Parameters
    ----------
    train, valid : Rows
        Training rows, and validation rows or None.
    stops : bool
        Whether to stop early.
    seeds : Seeds
        Sources of randomness.
    """

    train: Rows
    valid: Rows | None
    stops: bool
    seeds: Seeds

    @property
    def judged(self) -> Rows:
        """The rows of which what is held out is judged: validation rows, or members' own folds."""
        return self.train if self.valid is None else self.valid


class Memo:
    """What fits to the same data have in common, so that a search computes it once.

    A fit that stands alone has one of its own.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what was made under this key before, or make it.

        Parameters
        ----------
        key : hashable
            Tells apart all that it may depend on.
        make : callable
            Called without arguments, at most once for a key.

        Returns
        -------
        object
            The same for the same key.
        """
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def __len__(self) -> int:
        """Return how much is kept."""
        return len(self._kept)


def prepare(estimator: Any, given: Given, memo: Memo) -> Prepared:
    """Check parameters and data, and learn tasks, preprocessing and scales.

    Parameters
    ----------
    estimator : estimator
        Changed in place.
    given : Given
        The data.
    memo : Memo
        Of fits to the same data.

    Returns
    -------
    Prepared
        Rows and sources of randomness.

    Raises
    ------
    ValueError, TypeError
        If parameters or data are not valid.
    """
    check_parameters(estimator)
    check_whole_fit(estimator, is_one=not (given.is_partial or estimator.warm_start))
    if given.continues:
        check_unchanged(estimator, estimator._built_from)
    seeds = Seeds.spawn(check_random_state(estimator.random_state))
    if given.continues:
        return _prepare(estimator, given, seeds)

    def first() -> tuple[Prepared, dict[str, Any], Any]:
        before = dict(vars(estimator))
        prepared = _prepare(estimator, given, seeds)
        now = vars(estimator).items()
        learnt = {k: v for k, v in now if k not in before or before[k] is not v}
        return prepared, learnt, seeds.random.get_state()

    prepared, learnt, state = memo.once(_key(estimator, given, memo), first)
    if prepared.seeds is not seeds:  # another fit has prepared the same
        vars(estimator).update(learnt)
        if _draws(estimator, given):
            seeds.random.set_state(state)
    estimator._built_from = built_from(estimator)
    return prepared._replace(seeds=seeds)


def _draws(estimator: Any, given: Given) -> bool:
    """Tell whether rows may have been drawn, to judge by or for the members."""
    if estimator.bagging == "bootstrap":
        return True
    return given.validation is None and bool(estimator.early_stopping)


def _key(estimator: Any, given: Given, memo: Memo) -> str:
    """Return a text that two fits have in common if they would prepare the same."""
    params = estimator.get_params(deep=False)
    named = [(name, contents(value)) for name, value in params.items() if name not in _LATER]
    random = ""
    if _draws(estimator, given):
        seed = estimator.random_state
        # None and a generator draw anew in each fit.
        random = str(seed) if isinstance(seed, Integral) else f"fit {len(memo)}"
    return repr((type(estimator).__qualname__, named, random))


def _prepare(estimator: Any, given: Given, seeds: Seeds) -> Prepared:
    X, continues, is_partial = given.X, given.continues, given.is_partial
    if not continues:
        X = read_features(estimator, X, reset=True, allow_nan=estimator.preprocess is not None)
        _check_length(X, given.y)
        _learn_tasks(estimator, given.y, given.classes, is_part=is_partial)
        for name in {"candidates_", "candidate_weights_"} & vars(estimator).keys():
            delattr(estimator, name)
        estimator._fold_seed = None
        estimator._temperatures, estimator._conformity = {}, None
    rows = read_rows(
        estimator,
        X,
        given.y,
        given.sample_weight,
        is_read=not continues,
        groups=given.groups,
    )
    if not continues:
        members = choose_members(estimator, rows, given.validation, is_partial=is_partial)
        estimator.n_members_ = members
    chosen = choose_rows(estimator, rows, given.validation, seeds, is_partial=is_partial)
    train = chosen[0]
    if not continues:
        estimator._preprocess = fit_preprocessing(
            estimator.preprocess, train.X, train.row_weights, train.index
        )
    _meet_labels(estimator, train, is_first=not continues)
    return Prepared(*chosen, seeds)


def _meet_labels(estimator: Any, train: Rows, *, is_first: bool) -> None:
    """Learn the scales of targets, and which tasks have a label to be trained on."""
    scaler = TargetScaler().fit(train.targets, train.weights, estimator.tasks_)
    if not is_first:
        # Scales stay, but for tasks that had no label, or no spread, to scale by so far.
        labelled = estimator._encoder.labelled_
        new = [not labelled[task.name] for task in estimator.tasks_ for _ in task.columns]
        varies = estimator._scaler.is_constant_ & ~scaler.is_constant_
        scaler = estimator._scaler.with_columns(scaler, np.array(new) | varies)
    estimator._scaler = scaler
    encoder = estimator._encoder.with_labels(train.targets.mask, is_first=is_first)
    estimator._encoder = encoder


def _check_length(X: Any, y: Any) -> None:
    """Check that a list has an entry for each row, before its columns are taken for tasks."""
    if not isinstance(y, list | tuple) or len(y) == X.shape[0]:
        return
    hint = ""
    if all(hasattr(each, "__len__") and len(each) == X.shape[0] for each in y):
        hint = " These are columns: pass pandas.DataFrame, or numpy.column_stack of them."
    raise ValueError(
        f"X and y have inconsistent numbers of samples: [{X.shape[0]}, {len(y)}].{hint}"
    )


def _learn_tasks(estimator: Any, y: Any, classes: Any, *, is_part: bool) -> None:
    encoder = TargetEncoder(estimator.tasks, estimator._default_kind)
    named = _named_classes(classes, encoder, y)
    estimator._encoder = encoder.fit(y, named, is_part=is_part)
    estimator.tasks_ = encoder.tasks_
    check_kinds(estimator)
    if by_task := {t.name: encoder.classes_of(t) for t in estimator.tasks_ if t.has_classes}:
        estimator.classes_ = estimator._by_task(by_task)
    elif hasattr(estimator, "classes_"):
        del estimator.classes_


def _named_classes(classes: Any, encoder: TargetEncoder, y: Any) -> dict[str, Any] | None:
    """Return the classes that `partial_fit` got by the names of the tasks."""
    if classes is None or isinstance(classes, dict):
        return classes
    tasks = encoder.fit(y).tasks_
    if len(tasks) == 1:
        return {tasks[0].name: classes}
    of_classes = [task.name for task in tasks if task.has_classes]
    listed = list(classes)
    for names in (of_classes, [task.name for task in tasks]):
        if len(listed) == len(names):
            return dict(zip(names, listed, strict=True))
    raise ValueError(
        f"Parameter `classes` must have one entry for each of the class tasks {of_classes}, or be a "
        f"dict. Found {len(listed)}."
    )
