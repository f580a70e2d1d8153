"""Checks on constructor parameters, done when `fit` starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import sha256
from numbers import Integral, Real
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skmtl._frames import frame_to_pandas, is_frame, is_series, series_to_pandas

#: Rule in words, and the rule itself, by parameter.
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "lr": ("a finite number above 0", lambda v: _number(v) and v > 0),
    "weight_decay": ("a finite number of at least 0", lambda v: _number(v) and v >= 0),
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
        lambda v: v == "auto" or (_number(v) and 0 <= v < 1),
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
        lambda v: _number(v) and 0 < v < 1,
    ),
    "n_iter_no_change": ("a whole number of at least 1", lambda v: _whole(v) and v >= 1),
    "tol": ("a finite number of at least 0", lambda v: _number(v) and v >= 0),
    "dtype": ("'float32' or 'float64'", lambda v: v in {"float32", "float64"}),
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
    return {name: (text_of(value), contents(value)) for name, value in values.items()}


def check_unchanged(estimator: Any, before: dict[str, tuple[str, str]]) -> None:
    """Check that a fitted net can go on with the estimator's parameters.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    before : dict of str to (str, str)
        From :func:`built_from`, when the net was built.

    Raises
    ------
    ValueError
        If one has changed.
    """
    for name, (now, contents) in built_from(estimator).items():
        then, contents_then = before[name]
        if contents != contents_then:
            alike = ", with other values in what the repr leaves out" if now == then else ""
            raise ValueError(
                f"`warm_start` and `partial_fit` go on with the fitted net, which was built with "
                f"`{name} = {then}`. Found `{name} = {now}`{alike}. Set it back, or fit anew with "
                "`warm_start=False`. (`lr`, epochs and early stopping may change.)"
            )


def text_of(value: Any) -> str:
    """Return the repr without addresses, which differ after unpickling."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def contents(value: Any, within: tuple[int, ...] = ()) -> str:
    """Return a text that tells any two values apart: reprs cut arrays, frames and lists.

    Parameters
    ----------
    value : object
        A parameter.
    within : tuple of int, default=()
        Ids of the functions that this is part of, which may hold themselves.

    Returns
    -------
    str
        The same for the same content, in another process too.
    """
    # First what cannot be a frame: to ask that imports a tenth of a second's worth of modules.
    if value is None or isinstance(value, str | Real | type | torch.dtype | torch.device):
        return text_of(value)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    parts: list[Any]
    if isinstance(value, BaseEstimator):
        parts = list(value.get_params(deep=False).items())
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, set | frozenset):
        parts = sorted(value, key=contents)
    elif isinstance(value, list | tuple):
        parts = list(value)
    elif isinstance(value, FunctionType | CodeType | MethodType | partial | torch.nn.Module):
        parts = [] if id(value) in within else _of_code(value)
        within = (*within, id(value))
    elif isinstance(value, np.ndarray) or is_frame(value) or is_series(value):
        parts = _of_table(value)
    else:
        return text_of(value)
    texts = [contents(part, within) for part in parts]
    return f"{type(value).__qualname__}({', '.join(texts)})"


def _of_table(value: Any) -> list[Any]:
    """List shape or names, and cells."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return [value.shape, value.ravel().tolist()]
        return [value.shape, str(value.dtype), sha256(value.tobytes()).hexdigest()]
    if is_frame(value):
        frame = frame_to_pandas(value)
        columns = [frame.iloc[:, i].to_numpy() for i in range(frame.shape[1])]
        return [list(frame.index), list(frame.columns), columns]
    return [list(getattr(value, "index", ())), series_to_pandas(value).to_numpy()]


def _of_code(value: Any) -> list[Any]:
    """List what tells functions and modules apart whose names and shapes are the same."""
    if isinstance(value, FunctionType):
        held = [value.__defaults__, value.__kwdefaults__, _held(value)]
        return [value.__module__, value.__code__, *held]
    if isinstance(value, CodeType):
        return [value.co_name, value.co_code.hex(), value.co_consts, value.co_names]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    return [text_of(value), dict(value.state_dict())]


def _held(function: FunctionType) -> list[Any]:
    """Return the values that a function holds of those around it, where they are set."""
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not set yet
            found.append(cell.cell_contents)
    return found


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
