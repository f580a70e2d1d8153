"""Texts by which the values of parameters are told apart, whatever their reprs leave out."""

from __future__ import annotations

import dis
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial, singledispatch
from hashlib import sha256
from itertools import chain
from numbers import Real
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from skmtl._frames import frame_to_pandas, is_frame, is_series, series_to_pandas

#: What each module of torch has, beside what its author has noted.
_OF_TORCH = frozenset(vars(torch.nn.Module()))


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
        Ids of the objects that this is part of, which may hold themselves.

    Returns
    -------
    str
        The same for the same content, in another process too; numbers of other types that are
        equal, and lists and tuples of the same, are alike.  What tells nothing of its content
        (a lock, a generator that runs) is like itself alone.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as if it had been written so
    # First what cannot be a frame: to ask that imports a tenth of a second's worth of modules.
    if value is None or isinstance(value, str | bytes | Real | type | ModuleType):
        return text_of(value)
    if isinstance(value, torch.dtype | torch.device):
        return text_of(value)
    if isinstance(value, torch.Tensor):
        value = _array_of(value)
    if id(value) in within:
        return f"{type(value).__qualname__}, {len(within) - within.index(id(value))} levels up"
    within = (*within, id(value))
    texts = [contents(part, within) for part in _parts(value)]
    kind = "tuple" if isinstance(value, list) else type(value).__qualname__
    return f"{kind}({', '.join(texts)})"


def is_alike(left: str, right: str) -> bool:
    """Tell whether two texts of :func:`contents` mean the same.

    Parameters
    ----------
    left, right : str
        The texts.

    Returns
    -------
    bool
        Whether they are equal, but for how files of version 1 wrote numbers and lists.
    """
    return left == right or _as_now(left) == _as_now(right)


def _as_now(text: str) -> str:
    bare = re.sub(r"\bnp\.\w+\(([^()]*)\)", r"\1", text)
    return re.sub(r"(\d)\.0(?!\d)", r"\1", bare).replace("list(", "tuple(")


@singledispatch
def _parts(value: Any) -> list[Any]:
    """List what an object consists of."""
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    if is_frame(value):
        frame = frame_to_pandas(value)
        columns = [frame.iloc[:, i].to_numpy() for i in range(frame.shape[1])]
        return [frame.index.to_numpy(), list(frame.columns), columns]
    if is_series(value):
        series = series_to_pandas(value)
        return [series.index.to_numpy(), series.to_numpy()]
    return _pickled(value)


@_parts.register
def _(value: BaseEstimator) -> list[Any]:
    return list(value.get_params(deep=False).items())


@_parts.register
def _(value: FrozenEstimator) -> list[Any]:
    return [type(value.estimator), *_pickled(value.estimator)]  # a clone keeps what it has learnt


@_parts.register
def _(value: Mapping) -> list[Any]:  # type: ignore[type-arg]
    return list(value.items())


@_parts.register
def _(value: set | frozenset) -> list[Any]:  # type: ignore[type-arg]
    return sorted(value, key=contents)


@_parts.register
def _(value: list | tuple) -> list[Any]:  # type: ignore[type-arg]
    return list(value)


@_parts.register
def _(value: np.ndarray) -> list[Any]:
    if value.dtype.hasobject:
        return [value.shape, value.ravel().tolist()]
    return [value.shape, str(value.dtype), sha256(value.tobytes()).hexdigest()]


@_parts.register
def _(value: torch.nn.Module) -> list[Any]:
    """List structure, weights, and what its author has noted beside them."""
    noted = [
        {k: v for k, v in vars(each).items() if k not in _OF_TORCH} for each in value.modules()
    ]
    return [text_of(value), dict(value.state_dict()), noted]


@_parts.register
def _(value: partial) -> list[Any]:  # type: ignore[type-arg]
    return [value.func, value.args, value.keywords]


@_parts.register
def _(value: MethodType) -> list[Any]:
    return [value.__func__, value.__self__]


@_parts.register
def _(value: FunctionType) -> list[Any]:
    held = [value.__defaults__, value.__kwdefaults__, _held(value)]
    return [value.__module__, value.__code__, *held]


@_parts.register
def _(value: CodeType) -> list[Any]:
    return [value.co_name, value.co_code.hex(), value.co_consts, value.co_names]


def _held(function: FunctionType) -> list[Any]:
    """Return the values that a function reads around it, where they are set.

    Of the names of its module those count that stand for what does not change: other functions are
    not followed, and counters and caches change with each call.
    """
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not set yet
            found.append(cell.cell_contents)
    around = function.__globals__
    read = (around[name] for name in _names_read(function.__code__) if name in around)
    fixed = (str, bytes, Real, tuple, frozenset, np.ndarray, torch.Tensor)
    return [*found, *(value for value in read if isinstance(value, fixed))]


def _names_read(code: CodeType) -> list[str]:
    """Return the names of a module that code reads and does not set, functions within it included."""
    read, written = set(), set()
    for part in _codes_within(code):
        for step in dis.get_instructions(part):
            if step.opname == "LOAD_GLOBAL":
                read.add(step.argval)
            elif step.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
                written.add(step.argval)
    return sorted(read - written)


def _codes_within(code: CodeType) -> list[CodeType]:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return [code, *chain.from_iterable(map(_codes_within, inner))]


def _array_of(tensor: torch.Tensor) -> np.ndarray:
    cells = tensor.detach().cpu()
    cells = (cells if cells.layout == torch.strided else cells.to_dense()).resolve_conj()
    is_narrow = cells.is_floating_point() and cells.itemsize < 4  # NumPy has not all of these
    array: np.ndarray = (cells.float() if is_narrow else cells.resolve_neg()).numpy()
    return array


def _pickled(value: Any) -> list[Any]:
    """Tell an object by what `pickle` would write of it, or by its attributes where that fails."""
    try:
        return [joblib.hash(value)]
    except Exception:  # noqa: BLE001, each kind of object has its own way to refuse
        if hasattr(value, "__dict__"):
            return [vars(value)]
        return [f"{text_of(value)}, number {id(value)}"]
