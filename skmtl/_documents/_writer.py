"""Objects -> a document of JSON, and arrays beside it.

Values that JSON has stand as they are; everything else is an object ``{"is": kind, ...}``.  What may
be held in two places (arrays, tensors, objects) gets a number where it occurs first, and is
``{"is": "same", "id": number}`` everywhere else.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch
from torch import nn

from skmtl._documents._known import HOOKS, find_class, find_solver, holds_functions, path_of
from skmtl._frames import describe_empty, is_frame
from skmtl.training import TaskNet


class Writer:
    """Turns objects into nodes of a document.

    Parameters
    ----------
    with_optimizer : bool
        Whether to write what it takes to go on with the training.
    """

    def __init__(self, *, with_optimizer: bool) -> None:
        self.with_optimizer = with_optimizer
        self.arrays: dict[str, np.ndarray] = {}
        self._ids: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no id is used again
        self._path: list[str] = []

    def node(self, value: Any) -> Any:
        """Return the node of a value.

        Parameters
        ----------
        value : object
            The value.

        Returns
        -------
        object
            JSON.

        Raises
        ------
        TypeError
            If it is of a class that a file cannot name.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        exact = _EXACT.get(type(value))
        if exact is not None:
            return exact(self, value)
        plain = next((write for kinds, write in _PLAIN if isinstance(value, kinds)), None)
        if plain is not None:
            return plain(self, value)
        if id(value) in self._ids:
            return {"is": "same", "id": self._ids[id(value)]}
        number = self._ids[id(value)] = len(self._ids)
        self._alive.append(value)
        write = next((write for kinds, write in _HELD if isinstance(value, kinds)), Writer._other)
        return {**write(self, value), "id": number}

    @contextmanager
    def _within(self, step: object) -> Iterator[None]:
        self._path.append(str(step))
        yield
        self._path.pop()

    def _at(self, step: object, value: Any) -> Any:
        with self._within(step):
            return self.node(value)

    def _listed(self, values: Any) -> list[Any]:
        return [self._at(i, value) for i, value in enumerate(values)]

    def _store(self, array: np.ndarray) -> str:
        """Keep an array under a name that says where it was."""
        name = base = ".".join(self._path) or "array"
        n = 1
        while name in self.arrays:
            n += 1
            name = f"{base}~{n}"
        self.arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name

    # ---- what is not held twice

    def _float(self, value: float) -> Any:
        return value if math.isfinite(value) else {"is": "float", "text": repr(value)}

    def _sequence(self, value: Any) -> dict[str, Any]:
        ordered = value if isinstance(value, tuple) else sorted(value, key=repr)
        return {"is": type(value).__name__, "items": self._listed(ordered)}

    def _dict(self, value: Any) -> dict[str, Any]:
        return {"is": "dict", "items": [[self.node(k), self._at(k, v)] for k, v in value.items()]}

    def _slice(self, value: slice) -> dict[str, Any]:
        return {"is": "slice", "items": [value.start, value.stop, value.step]}

    def _scalar(self, value: np.generic) -> dict[str, Any]:
        if value.dtype.kind not in "biufU" or isinstance(value.item(), np.generic):
            self.refuse(value)
        return {"is": "scalar", "dtype": value.dtype.str, "value": self.node(value.item())}

    def _partial(self, value: partial[Any]) -> dict[str, Any]:
        if value.args or find_solver(path_of(value.func)) is not value.func:
            self.refuse(value)
        return {"is": "solver", "name": path_of(value.func), "options": self.node(value.keywords)}

    def _function(self, value: FunctionType) -> dict[str, Any]:
        if find_solver(path_of(value)) is not value:
            self.refuse(value)
        return {"is": "solver", "name": path_of(value), "options": None}

    def _class(self, value: type) -> dict[str, Any]:
        if find_class(path_of(value)) is not value:
            self.refuse(value)
        return {"is": "class", "name": path_of(value)}

    def _dtype(self, value: np.dtype) -> dict[str, Any]:
        if value.fields is not None:
            fields = [[name, self.node(value[name])] for name in value.names or ()]
            return {"is": "fields", "items": fields}
        return {"is": "dtype", "name": value.str}

    def _pandas_dtype(self, value: Any) -> dict[str, Any]:
        if isinstance(value, pd.CategoricalDtype):
            labels = None if value.categories is None else value.categories
            return {"is": "categories", "labels": self.node(labels), "ordered": value.ordered}
        if isinstance(value, pd.StringDtype):
            is_nan = value.na_value is not pd.NA
            return {"is": "strings dtype", "storage": value.storage, "is_nan": is_nan}
        return {"is": "pandas dtype", "name": str(value)}

    def _torch_dtype(self, value: torch.dtype) -> dict[str, Any]:
        return {"is": "torch dtype", "name": str(value).removeprefix("torch.")}

    def _device(self, value: torch.device) -> dict[str, Any]:
        return {"is": "device", "name": value.type}  # another machine may have none of that number

    # ---- what may be held in two places

    def _array(self, value: np.ndarray) -> dict[str, Any]:
        if isinstance(value, np.ma.MaskedArray) or value.dtype == np.longdouble != np.float64:
            self.refuse(value, what=f"a {type(value).__name__} of {value.dtype}")
        if value.dtype.kind in "biuf":
            native = value.astype(value.dtype.newbyteorder("="), copy=False)
            node: dict[str, Any] = {"is": "array", "name": self._store(native)}
            if native.dtype.str != value.dtype.str:
                node["dtype"] = value.dtype.str
            # By columns: sums of products depend on the order, in the last bits.
            by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
            return {**node, "order": "F"} if by_columns else node
        if value.dtype.kind not in "OU":
            self.refuse(value, what=f"an array of {value.dtype}")
        kind = {"O": "objects", "U": "strings"}[value.dtype.kind]
        cells = self._listed(value.ravel().tolist())
        node = {"is": kind, "shape": list(value.shape), "items": cells}
        return node if kind == "objects" else {**node, "dtype": value.dtype.str}

    def _tensor(self, value: torch.Tensor) -> dict[str, Any]:
        array = value.detach().cpu().numpy()
        is_parameter = isinstance(value, nn.Parameter)
        node = {"is": "tensor", "name": self._store(array), "parameter": is_parameter}
        return {**node, "requires_grad": value.requires_grad}

    def _index(self, value: pd.Index) -> dict[str, Any]:
        node: dict[str, Any] = {"is": "index", "labels": self._listed(value)}
        if any(name is not None for name in value.names):
            node["names"] = self._listed(value.names)
        if isinstance(value, pd.MultiIndex):
            return {**node, "levels": value.nlevels}
        return {**node, "dtype": self.node(value.dtype)}

    def _frame(self, value: pd.DataFrame) -> dict[str, Any]:
        if not all(dtype.kind == "f" for dtype in value.dtypes):
            self.refuse(value)
        axes = {"index": self.node(value.index), "columns": self.node(value.columns)}
        return {"is": "frame", **axes, "values": self.node(value.to_numpy())}

    def _generator(self, value: torch.Generator) -> dict[str, Any]:
        return {"is": "generator", "state": self._store(value.get_state().numpy())}

    def _random(self, value: np.random.RandomState) -> dict[str, Any]:
        return {"is": "random state", "state": self.node(value.get_state(legacy=True))}

    def _net(self, value: TaskNet) -> dict[str, Any]:
        parts = value.parts(with_optimizer=self.with_optimizer)
        return {"is": "net", "parts": self.node(parts)}

    def _module(self, value: nn.Module) -> dict[str, Any]:
        state = dict(value.__getstate__())
        if any(state.pop(name, None) for name in HOOKS):
            self.refuse(value, what="a module with hooks")
        return {"is": "module", "class": self._name(value), "state": self.node(state)}

    def _other(self, value: Any) -> dict[str, Any]:
        return self._columns(value) if is_frame(value) else self._object(value)

    def _columns(self, value: Any) -> dict[str, Any]:
        try:
            return {"is": "columns", "of": describe_empty(value)}
        except TypeError as error:
            return self.refuse(value, what=str(error))

    def _object(self, value: Any) -> dict[str, Any]:
        name, state = self._name(value), value.__getstate__()
        if isinstance(value, list | tuple | dict | str | int | float) or type(state) not in (
            dict,
            type(None),
        ):
            self.refuse(value)  # what it holds beside its attributes would be lost
        if holds_functions(type(value), state or {}):
            self.refuse(value)
        return {"is": "object", "class": name, "state": self.node(self.kept(value, state or {}))}

    def kept(self, value: Any, state: dict[str, Any]) -> dict[str, Any]:
        """Return what to write of an object's attributes: all of them.

        Parameters
        ----------
        value : object
            The object.
        state : dict
            Its attributes.

        Returns
        -------
        dict
            Attributes by name.
        """
        return state

    def _name(self, value: Any) -> str:
        name = path_of(type(value))
        if find_class(name) is not type(value):
            self.refuse(value)
        return name

    def refuse(self, value: Any, *steps: str, what: str | None = None) -> NoReturn:
        """Raise an error for what a file cannot hold.

        Parameters
        ----------
        value : object
            What was found.
        *steps : str
            Where, seen from the object that is being written.
        what : str, default=None
            What to call it.

        Raises
        ------
        TypeError
            Always.
        """
        where = ".".join([*self._path, *steps]) or "the estimator"
        found = what or f"{type(value).__module__}.{type(value).__qualname__}: {value!r:.80}"
        raise TypeError(
            f"`{where}` cannot be saved: a file holds arrays, numbers, words and objects of "
            f"skmtl, of torch.nn and of some of scikit-learn's transformers. Found {found}. Take it "
            "out before `save` (a parameter: set it to None; a class: name it by a word), or use pickle."
        )


#: Writers by type: of these and no subclass, which may hold more.
_EXACT: dict[type, Any] = {
    float: Writer._float,
    list: Writer._listed,
    tuple: Writer._sequence,
    set: Writer._sequence,
    frozenset: Writer._sequence,
    dict: Writer._dict,
    OrderedDict: Writer._dict,
    slice: Writer._slice,
    partial: Writer._partial,
    FunctionType: Writer._function,
}
#: Of these and their subclasses; the first that fits.
_PLAIN: tuple[tuple[Any, Any], ...] = (
    (np.generic, Writer._scalar),
    (type, Writer._class),
    (np.dtype, Writer._dtype),
    (pd.api.extensions.ExtensionDtype, Writer._pandas_dtype),
    (torch.dtype, Writer._torch_dtype),
    (torch.device, Writer._device),
)
_HELD: tuple[tuple[Any, Any], ...] = (
    (np.ndarray, Writer._array),
    (torch.Tensor, Writer._tensor),
    (pd.Index, Writer._index),
    (pd.DataFrame, Writer._frame),
    (torch.Generator, Writer._generator),
    (np.random.RandomState, Writer._random),
    (TaskNet, Writer._net),
    (nn.Module, Writer._module),
)
