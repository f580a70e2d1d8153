"""Checks on constructor parameters, done when `fit` starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

#: Rule in words, and the rule itself, by parameter.
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "lr": ("a finite number above 0", lambda v: _number(v) and v > 0),
    "weight_decay": ("a finite number of at least 0", lambda v: _number(v) and v >= 0),
    "batch_size": (
        "'auto', -1 (all rows) or a whole number of at least 1",
        lambda v: v == "auto" or (_whole(v) and (v == -1 or v >= 1)),
    ),
    "max_epochs": ("a whole number of at least 1", lambda v: _whole(v) and v >= 1),
    "early_stopping": (
        "True, False or 'auto'",
        lambda v: isinstance(v, bool | np.bool_) or v == "auto",
    ),
    "validation_fraction": (
        "a number between 0 and 1",
        lambda v: _number(v) and 0 < v < 1,
    ),
    "n_iter_no_change": ("a whole number of at least 1", lambda v: _whole(v) and v >= 1),
    "tol": ("a finite number of at least 0", lambda v: _number(v) and v >= 0),
    "dtype": ("'float32' or 'float64'", lambda v: v in {"float32", "float64"}),
    "n_threads": (
        "None or a whole number of at least 1",
        lambda v: v is None or (_whole(v) and v >= 1),
    ),
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
_BUILT_FROM = (
    *("tasks", "sharing", "loss_weights", "trunk", "hidden_layer_sizes", "activation", "dropout"),
    *("head_layer_sizes", "penalty", "optimizer", "weight_decay", "batch_size", "preprocess"),
    *("device", "dtype", "callbacks", "net_params"),
)


def built_from(estimator: Any) -> dict[str, str]:
    """Note the parameters that a net is built from.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to note.

    Returns
    -------
    dict of str to str
        Their reprs by name.
    """
    # Without addresses, which differ after unpickling.
    texts = {name: repr(getattr(estimator, name)) for name in _BUILT_FROM}
    return {name: re.sub(r" at 0x[0-9a-f]+", "", text) for name, text in texts.items()}


def check_unchanged(estimator: Any, before: dict[str, str]) -> None:
    """Check that a fitted net can go on with the estimator's parameters.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    before : dict of str to str
        From :func:`built_from`, when the net was built.

    Raises
    ------
    ValueError
        If one has changed.
    """
    for name, now in built_from(estimator).items():
        if now != before[name]:
            raise ValueError(
                f"`warm_start` and `partial_fit` go on with the fitted net, which was built with "
                f"`{name} = {before[name]}`. Found `{name} = {now}`. Set it back, or fit anew with "
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


def _number(value: Any) -> bool:
    return (
        isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
    )


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
