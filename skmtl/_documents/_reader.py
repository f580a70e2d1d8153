"""A document of JSON and its arrays -> objects.

Nothing that a file names is called: objects of known classes are made without their constructors
and get their attributes, as pickle does it, but pickle lets a file name any function there is.
"""

from __future__ import annotations

import inspect
import math
import re
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from torch import nn

from skmtl._documents._file import FileError
from skmtl._documents._known import HOOKS, find_class, find_solver, holds_functions
from skmtl._frames import empty_from
from skmtl.training import TaskNet

#: Characters that an array of strings may take, whatever its strings are.
LARGEST_STRINGS = 1 << 22


class Reader:
    """Turns nodes of a document into objects.

    Parameters
    ----------
    arrays : dict of str to ndarray
        What stands beside the document.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self._made: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        """Return the value of a node.

        Parameters
        ----------
        node : object
            JSON.

        Returns
        -------
        object
            The value.

        Raises
        ------
        FileError
            If the document is not one that :class:`Writer` makes.
        """
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is list:
            return [self.value(item) for item in node]
        kind = node["is"]
        if kind == "same":
            return self._made[node["id"]]
        if kind not in _KINDS:
            raise FileError(f"The file holds {kind!r}, which no version of skmtl writes.")
        made = _KINDS[kind](self, node)
        if "id" in node:
            self._made[node["id"]] = made
        return made

    def _float(self, node: Any) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[node["text"]]

    def _sequence(self, node: Any) -> Any:
        items = self.value(node["items"])
        if node["is"] == "slice":
            return slice(*items)
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[node["is"]](items)

    def _dict(self, node: Any) -> dict[Any, Any]:
        return {self.value(key): self.value(item) for key, item in node["items"]}

    def _array(self, node: Any) -> np.ndarray:
        array = self._taken(node["name"]).copy(order="F" if node.get("order") == "F" else "C")
        return array.astype(np.dtype(str(node["dtype"])), order="K") if "dtype" in node else array

    def _taken(self, name: Any) -> np.ndarray:
        """Return an array that stands beside the document, of which each is held once."""
        return self.arrays.pop(name)

    def _tensor(self, node: Any) -> torch.Tensor:
        tensor = torch.from_numpy(self._taken(node["name"]).copy())
        if node["parameter"]:
            return nn.Parameter(tensor, requires_grad=node["requires_grad"] is True)
        return tensor.requires_grad_(node["requires_grad"] is True)

    def _cells(self, node: Any) -> np.ndarray:
        shape, items = [int(n) for n in node["shape"]], self.value(node["items"])
        if min(shape, default=1) < 0 or int(np.prod(shape)) != len(items):
            raise FileError("The file holds an array whose shape is not that of its cells.")
        if node["is"] == "strings":
            return _strings([str(item) for item in items], node.get("dtype")).reshape(shape)
        cells = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            cells[i] = item
        return cells.reshape(shape)

    def _dtype(self, node: Any) -> Any:
        name = str(node["name"])
        if node["is"] == "torch dtype":
            found = getattr(torch, name)
            if not isinstance(found, torch.dtype):
                raise FileError(f"The file names a type that there is not: {name!r:.80}.")
            return found
        if node["is"] == "pandas dtype":
            return pd.api.types.pandas_dtype(name)
        return np.dtype(name)

    def _device(self, node: Any) -> torch.device:
        is_there = node["name"] == "cuda" and torch.cuda.is_available()
        return torch.device("cuda" if is_there else "cpu")

    def _strings_dtype(self, node: Any) -> Any:
        missing = np.nan if node["is_nan"] else pd.NA
        try:
            return pd.StringDtype(node["storage"], na_value=missing)
        except TypeError:  # pandas < 2.3, which has strings with pd.NA alone
            return np.dtype(object) if node["is_nan"] else pd.StringDtype(node["storage"])

    def _fields(self, node: Any) -> Any:
        return np.dtype([(str(name), self.value(item)) for name, item in node["items"]])

    def _categories(self, node: Any) -> Any:
        return pd.CategoricalDtype(self.value(node["labels"]), node["ordered"])

    def _scalar(self, node: Any) -> Any:
        dtype = self._dtype({"is": "dtype", "name": node["dtype"]})
        if dtype.kind not in "biufU":
            raise FileError(f"The file holds a number of type {dtype}.")
        return dtype.type(self.value(node["value"]))

    def _class(self, node: Any) -> type:
        found = find_class(node["name"] if "name" in node else node["class"])
        if found is None:
            raise FileError(
                f"The file names a class that is not among the known ones: {node!r:.120}. It was "
                "written by another version, or by somebody who wishes you ill."
            )
        return found

    def _solver(self, node: Any) -> Any:
        found = find_solver(node["name"])
        if found is None:
            raise FileError(f"The file names a function that finds no weights: {node!r:.120}.")
        options = self.value(node["options"])
        return found if options is None else partial(found, **options)

    def _index(self, node: Any) -> pd.Index:
        labels, names = self.value(node["labels"]), self.value(node.get("names"))
        if "levels" in node:
            return pd.MultiIndex.from_tuples(labels, names=names)
        index = pd.Index(labels, dtype=self.value(node["dtype"]))
        return index if names is None else index.set_names(names)

    def _frame(self, node: Any) -> pd.DataFrame:
        parts = (self.value(node[name]) for name in ("values", "index", "columns"))
        return pd.DataFrame(*parts)

    def _columns(self, node: Any) -> Any:
        return empty_from(node["of"])

    def _generator(self, node: Any) -> torch.Generator:
        generator = torch.Generator()
        generator.set_state(torch.from_numpy(self._taken(node["state"]).copy()))
        return generator

    def _random(self, node: Any) -> np.random.RandomState:
        random = np.random.RandomState(0)
        random.set_state(self.value(node["state"]))
        return random

    def _net(self, node: Any) -> Any:
        return NetParts(self.value(node["parts"]))

    def _module(self, node: Any) -> nn.Module:
        cls = self._class(node)
        if not issubclass(cls, nn.Module):
            raise FileError(f"The file holds a {cls.__name__} as a module.")
        module = cls.__new__(cls)
        nn.Module.__init__(module)
        self._made[node["id"]] = module
        module.__setstate__(self._state(node, cls))
        return module

    def _object(self, node: Any) -> Any:
        cls = self._class(node)
        if issubclass(cls, nn.Module | TaskNet | torch.optim.Optimizer):
            raise FileError(f"The file holds a {cls.__name__} as a plain object.")
        made = cls.__new__(cls)
        self._made[node["id"]] = made
        state = _defaults(cls) | self._state(node, cls)
        if holds_functions(cls, state):
            raise FileError(f"The file holds a {cls.__name__} with a function.")
        self.restore(made, state)
        return made

    def restore(self, made: Any, state: dict[str, Any]) -> None:
        """Give an object its attributes.

        Parameters
        ----------
        made : object
            Without any.
        state : dict
            Attributes by name.
        """
        if isinstance(made, BaseEstimator):
            if "memory" in state:  # a folder of somebody's, whose files would be unpickled
                state["memory"] = None
            BaseEstimator.__setstate__(made, state)  # warns of other versions of scikit-learn
        else:
            made.__dict__.update(state)

    def _state(self, node: Any, cls: type) -> dict[str, Any]:
        state = self.value(node["state"])
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise FileError("The file holds an object whose attributes have no names.")
        hooks = HOOKS if issubclass(cls, nn.Module) else frozenset[str]()
        for name in state:
            there = inspect.getattr_static(cls, name, None)
            if name in hooks or callable(there) or isinstance(there, _NO_ATTRIBUTES):
                raise FileError(f"The file replaces {name!r} of a {cls.__name__}.")
        return state


#: What a class has that no object has of its own.
_NO_ATTRIBUTES = (property, classmethod, staticmethod)


def _strings(items: list[str], dtype: Any) -> np.ndarray:
    """Make an array of strings, each of which takes the place of the longest."""
    told = re.fullmatch(r"[<>=|]?U([0-9]{1,9})", "U0" if dtype is None else str(dtype))
    width = max([int(told[1]) if told else LARGEST_STRINGS, *map(len, items)])
    if told is None or width * len(items) > max(LARGEST_STRINGS, 64 * sum(map(len, items))):
        raise FileError("The file holds an array of strings that takes far more room than they.")
    return np.array(items, dtype=np.str_ if dtype is None else np.dtype(told[0]))


def _defaults(cls: type) -> dict[str, Any]:
    """Parameters that came after the file: what the constructor would set."""
    if not cls.__module__.startswith("skmtl.") or not issubclass(cls, BaseEstimator):
        return {}
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


class NetParts(dict[str, Any]):
    """What a net consists of, for the estimator that it belongs to."""


_KINDS: dict[str, Any] = {
    "float": Reader._float,
    "tuple": Reader._sequence,
    "set": Reader._sequence,
    "frozenset": Reader._sequence,
    "slice": Reader._sequence,
    "dict": Reader._dict,
    "scalar": Reader._scalar,
    "class": Reader._class,
    "solver": Reader._solver,
    "dtype": Reader._dtype,
    "fields": Reader._fields,
    "categories": Reader._categories,
    "strings dtype": Reader._strings_dtype,
    "pandas dtype": Reader._dtype,
    "torch dtype": Reader._dtype,
    "device": Reader._device,
    "array": Reader._array,
    "objects": Reader._cells,
    "strings": Reader._cells,
    "tensor": Reader._tensor,
    "index": Reader._index,
    "frame": Reader._frame,
    "columns": Reader._columns,
    "generator": Reader._generator,
    "random state": Reader._random,
    "net": Reader._net,
    "module": Reader._module,
    "object": Reader._object,
}
