"""Checks on constructor parameters, done when `fit` starts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from numbers import Integral
from types import FunctionType
from typing import Any

import numpy as np

from skmtl._numbers import is_finite_number
from skmtl.estimators._contents import contents, is_alike, text_of

#: Rule in words, and the rule itself, by parameter.
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "lr": ("a finite number above 0", lambda v: is_finite_number(v) and v > 0),
    "weight_decay": ("a finite number of at least 0", lambda v: is_finite_number(v) and v >= 0),
    "n_members": (
        "'auto' or a whole number of at least 1",
        lambda v: v == "auto" or (_whole(v) and v >= 1),
    ),
    "n_bins": (
        "'auto', 0 (none) or a whole number of at least 2",
        lambda v: v == "auto" or (_whole(v) and (v == 0 or v >= 2)),
    ),
    "preset": (
        "'fast', 'default' or 'best'",
        lambda v: isinstance(v, str) and v in {"fast", "default", "best"},
    ),
    "calibration": ("'temperature' or None", lambda v: v is None or v == "temperature"),
    "bagging": (
        "'folds', 'bootstrap' or None",
        lambda v: v is None or (isinstance(v, str) and v in {"folds", "bootstrap"}),
    ),
    "ema_decay": (
        "'auto' or a number of at least 0 and below 1",
        lambda v: v == "auto" or (is_finite_number(v) and 0 <= v < 1),
    ),
    "batch_size": (
        "'auto', 'halving', -1 (all rows) or a whole number of at least 1",
        lambda v: (
            v in {"auto", "halving"} if isinstance(v, str) else _whole(v) and (v == -1 or v >= 1)
        ),
    ),
    "max_epochs": ("a whole number of at least 1", lambda v: _whole(v) and v >= 1),
    "early_stopping": (
        "True, False or 'auto'",
        lambda v: isinstance(v, bool | np.bool_) or v == "auto",
    ),
    "validation_fraction": (
        "a number between 0 and 1",
        lambda v: is_finite_number(v) and 0 < v < 1,
    ),
    "n_iter_no_change": ("a whole number of at least 1", lambda v: _whole(v) and v >= 1),
    "tol": ("a finite number of at least 0", lambda v: is_finite_number(v) and v >= 0),
    "dtype": (
        "'float32', 'float64' or 'bfloat16'",
        lambda v: v in {"float32", "float64", "bfloat16"},
    ),
    "n_threads": (
        "None or a whole number of at least 1",
        lambda v: v is None or (_whole(v) and v >= 1),
    ),
    "normalize_losses": (
        "'numbers', True or False",
        lambda v: isinstance(v, bool | np.bool_) or (isinstance(v, str) and v == "numbers"),
    ),
    "random_state": (
        "None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState",
        lambda v: (
            v is None
            or v is np.random
            or isinstance(v, np.random.RandomState)
            or (_whole(v) and 0 <= v < 2**32)
        ),
    ),
    "deterministic": ("True or False", lambda v: isinstance(v, bool | np.bool_)),
    "warm_start": ("True or False", lambda v: isinstance(v, bool | np.bool_)),
    "verbose": ("a bool or a whole number", lambda v: isinstance(v, bool | np.bool_ | Integral)),
    "net_params": (
        "None or a dict with string keys",
        lambda v: v is None or (isinstance(v, dict) and all(isinstance(k, str) for k in v)),
    ),
}


def check_parameters(estimator: Any) -> None:
    """Check the parameters that are plain numbers, words or flags.

    Parameters
    ----------
    estimator : estimator
        Whose attributes to check.

    Raises
    ------
    ValueError
        With the rule and what was found.
    """
    for name, (words, rule) in _RULES.items():
        value = getattr(estimator, name)
        if isinstance(value, np.ndarray | list | dict) and name != "net_params":
            valid = False
        else:
            valid = bool(rule(value))
        if not valid:
            raise ValueError(f"Parameter `{name}` must be {words}. Found `{name} = {value!r}`.")


#: What the network, its optimiser and the tasks were built from: fixed once there is a net.
_BUILT_FROM = [
    "tasks",
    "preset",
    "sharing",
    "loss_weights",
    "normalize_losses",
    "trunk",
    "hidden_layer_sizes",
    "activation",
    "dropout",
    "n_bins",
    "head_layer_sizes",
    "penalty",
    "n_members",
    "bagging",
    "optimizer",
    "weight_decay",
    "ema_decay",
    "batch_size",
    "preprocess",
    "device",
    "dtype",
    "callbacks",
    "net_params",
]


def check_whole_fit(estimator: Any, *, is_one: bool) -> None:
    """Check that a choice by inner validation is left to a fit from the start.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to read.
    is_one : bool
        Whether it is such a fit, and not `partial_fit` or a warm start.

    Raises
    ------
    ValueError
        If the parameters ask for a choice that cannot be made.
    """
    if is_one:
        return
    for name, value in (("preset", "best"), ("sharing", "auto")):
        if isinstance(getattr(estimator, name), str) and getattr(estimator, name) == value:
            raise ValueError(
                f"`{name} = {value!r}` chooses between networks by inner validation, which "
                "`partial_fit` and `warm_start` cannot do anew with each call. Name one network, such "
                "as `preset='default', sharing='hard'`."
            )


def built_from(estimator: Any) -> dict[str, tuple[str, str]]:
    """Note the parameters that a net is built from.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to note.

    Returns
    -------
    dict of str to (str, str)
        By name: the repr, for messages, and a text that tells any two values apart, with a
        digest of each array.
    """
    values = {name: getattr(estimator, name) for name in _BUILT_FROM}
    if isinstance(values["callbacks"], list | tuple):  # what they note of a fit is no change
        values["callbacks"] = [
            each if isinstance(each, FunctionType | partial) else text_of(each)
            for each in values["callbacks"]
        ]
    return {name: (text_of(value), contents(value)) for name, value in values.items()}


def check_unchanged(
    estimator: Any, before: dict[str, tuple[str, str]], names: Collection[str] = _BUILT_FROM
) -> None:
    """Check that a fitted net can go on with the estimator's parameters.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    before : dict of str to (str, str)
        From :func:`built_from`, when the net was built.
    names : collection of str, default=all of them
        Which parameters to compare.

    Raises
    ------
    ValueError
        If one has changed.
    """
    for name, (now, holds) in built_from(estimator).items():
        then, held = before[name]
        if name in names and not is_alike(holds, held):
            alike = ", with other values in what the repr leaves out" if now == then else ""
            raise ValueError(
                f"`warm_start`, `partial_fit` and `save` go on with the fitted net, which was built with "
                f"`{name} = {then}`. Found `{name} = {now}`{alike}. Set it back, or fit anew with "
                "`warm_start=False`. (`lr`, epochs and early stopping may change.)"
            )


def check_kinds(estimator: Any) -> None:
    """Check that an estimator of one kind has tasks of that kind.

    Parameters
    ----------
    estimator : estimator
        Whose tasks are known.

    Raises
    ------
    ValueError
        If one is of the other kind.
    """
    kind = estimator._default_kind
    for task in estimator.tasks_:
        if kind is not None and task.has_classes != (kind == "classification"):
            raise ValueError(
                f"{type(estimator).__name__} learns {kind} tasks only, but task {task.name!r} is "
                f"declared as {task.kind}. Use MultiTaskNetClassifierRegressor."
            )


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
