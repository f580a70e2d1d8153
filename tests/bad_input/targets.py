"""Targets and weights as they should not be, and as they may be."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import polars as pl
import torch

from skmtl import Task
from tests.bad_input.case import Case, N, X, Y, fit, fitted, net


def target(change):
    """Fit on targets that were changed."""
    return lambda: fit(X, change(Y.copy()))


def price(change):
    """Fit on a number that was changed, beside the classes."""
    return lambda: fit(X, Y.assign(price=change(Y["price"].to_numpy().copy())))


def cell(value, row=3):
    """Put a value into one cell of a column."""

    def change(column):
        column = column.astype(object)
        column[row] = value
        return column

    return change


def tasks(*declared, y=Y):
    """Fit declared tasks."""
    return lambda: fit(X, y, tasks=list(declared))


def weighed(weights, **params):
    """Fit with weights."""
    return lambda: fit(X, Y, weights, **params)


def weight(value, row=3):
    """Return weights of 1 with another one among them."""
    weights = np.ones(N)
    weights[row] = value
    return weights


def validated(X_val, y_val, *more):
    """Fit with validation rows."""
    return lambda: net(early_stopping=True).fit(X, Y, X_val=X_val, y_val=y_val).predict(X)


NUMBER = Y["price"].to_numpy()
ALL = target(lambda y: y)
SHAPE, CELLS, TYPES = "y: shape", "y: cells", "y: types and names"
TASKS, WEIGHTS, VALIDATION = "tasks", "weights", "validation rows"

CASES = [
    Case(SHAPE, "None", lambda: fit(X, None)),
    Case(SHAPE, "fewer rows than X", target(lambda y: y[:-1])),
    Case(SHAPE, "no column", target(lambda y: y[[]])),
    Case(SHAPE, "three axes", lambda: fit(X, np.zeros((N, 2, 2)))),
    Case(SHAPE, "rows of unequal length", lambda: fit(X, [[1.0], [1.0, 2.0]] * (N // 2))),
    Case(SHAPE, "a single number", lambda: fit(X, 3.0)),
    Case(SHAPE, "a word", lambda: fit(X, "price")),
    Case(SHAPE, "a generator", lambda: fit(X, (row for row in NUMBER))),
    Case(SHAPE, "a lazy frame of polars", lambda: fit(X, pl.from_pandas(Y).lazy())),
    Case(SHAPE, "a dict of columns (with a warning)", target(dict)),
    Case(SHAPE, "a dict with columns of unequal length", lambda: fit(X, {"a": NUMBER, "b": NUMBER[:3]})),
    Case(CELLS, "no label at all", target(lambda y: y.map(lambda _: None))),
    Case(CELLS, "no label at all, floats", lambda: fit(X, np.full((N, 2), np.nan))),
    Case(CELLS, "a column without a label", price(lambda v: v * np.nan), blank=("price",)),
    Case(CELLS, "one label in a column", price(lambda v: np.where(np.arange(N) == 3, v, np.nan))),
    Case(CELLS, "labels in one row alone", target(lambda y: y.loc[[3]].reindex(y.index))),
    Case(CELLS, "infinity", price(cell(np.inf))),
    Case(CELLS, "a constant number", price(lambda v: v * 0 + 3.5)),
    Case(CELLS, "a constant class", target(lambda y: y.assign(sold="yes"))),
    Case(CELLS, "numbers of 1e300", price(lambda v: v * 1e300)),
    Case(CELLS, "numbers of 1e-300", price(lambda v: v * 1e-300)),
    Case(CELLS, "1e308 and -1e308", price(lambda v: np.sign(v) * 1.7e308)),
    Case(CELLS, "numbers near 1e15 that differ by 1", price(lambda v: 1e15 + np.round(v))),
    Case(CELLS, "a word among numbers", price(cell("many"))),
    Case(CELLS, "a word among numbers, declared as regression", lambda: fit(X, Y.assign(price=cell("many")(NUMBER)), tasks={"price": "regression"})),
    Case(CELLS, "numbers and words as classes", target(lambda y: y.assign(sold=[1, "one"] * (N // 2)))),
    Case(CELLS, "a list in a cell", target(lambda y: y.assign(sold=cell([1])(y["sold"].to_numpy())))),
    Case(CELLS, "a dict in a cell", target(lambda y: y.assign(sold=cell({"a": 1})(y["sold"].to_numpy())))),
    Case(CELLS, "as many classes as rows", target(lambda y: y.assign(sold=list(map(str, range(N)))))),
    Case(CELLS, "True and False with gaps", target(lambda y: y.assign(sold=[True, False, None, True] * (N // 4)))),
    Case(CELLS, "missing classes: NaN among words", target(lambda y: y.assign(sold=cell(np.nan)(y["sold"].to_numpy())))),
    Case(CELLS, "pd.NA among words", target(lambda y: y.assign(sold=cell(pd.NA)(y["sold"].to_numpy())))),
    Case(CELLS, "an integer of 400 digits", price(cell(10**400))),
    Case(TYPES, "dates", target(lambda y: y.assign(price=pd.date_range("2024", periods=N)))),
    Case(TYPES, "complex numbers", price(lambda v: v + 1j)),
    Case(TYPES, "decimals", target(lambda y: y.assign(price=y["price"].map(decimal.Decimal)))),
    Case(TYPES, "numbers as words", target(lambda y: y.assign(price=y["price"].astype(str)))),
    Case(TYPES, "half precision", lambda: fit(X, NUMBER.astype(np.float16))),
    Case(TYPES, "an array of objects", target(lambda y: y.to_numpy())),
    Case(TYPES, "a masked array", lambda: fit(X, np.ma.masked_array(NUMBER, np.arange(N) == 3)), like=lambda: fit(X, np.where(np.arange(N) == 3, np.nan, NUMBER))),
    Case(TYPES, "read-only", lambda: fit(X, np.broadcast_to(NUMBER[:, None], (N, 2))), like=lambda: fit(X, np.column_stack([NUMBER, NUMBER]))),
    Case(TYPES, "a tensor with gradients", lambda: fit(X, torch.tensor(NUMBER, requires_grad=True)).numpy(), like=lambda: fit(X, torch.tensor(NUMBER)).numpy()),
    Case(TYPES, "a tensor on the device meta", lambda: fit(X, torch.tensor(NUMBER).to("meta"))),
    Case(TYPES, "a name twice", target(lambda y: y.set_axis(["a", "a"], axis=1))),
    Case(TYPES, "names that are numbers and words", target(lambda y: y.set_axis(["a", 1], axis=1))),
    Case(TYPES, "1 and '1' as names", target(lambda y: y.set_axis([1, "1"], axis=1))),
    Case(TYPES, "an empty name", target(lambda y: y.set_axis(["a.b c", ""], axis=1))),
    Case(TYPES, "an index in another order than X's: rows go by position", target(lambda y: y.set_axis(range(N)[::-1])), like=ALL),
    Case(TASKS, "a column that is not there", tasks(Task("cost", "regression"))),
    Case(TASKS, "one name twice", tasks(Task("price"), Task("price"))),
    Case(TASKS, "a column in two tasks", tasks(Task("price"), Task("other", "regression", columns=["price"]))),
    Case(TASKS, "an unknown kind", lambda: fit(tasks={"price": "regresion"})),
    Case(TASKS, "a kind that does not fit", lambda: fit(tasks={"sold": "regression"})),
    Case(TASKS, "negative counts", lambda: fit(tasks={"price": "count"})),
    Case(TASKS, "quantiles that are no levels", lambda: fit(tasks=[Task("price", "quantile", quantiles=(0.5, 1.5))])),
    Case(TASKS, "an unknown loss", lambda: fit(tasks=[Task("price", "regression", loss="hubert")])),
    Case(TASKS, "a loss of another kind", lambda: fit(tasks=[Task("sold", "binary", loss="huber")])),
    Case(TASKS, "a number", lambda: fit(tasks=3)),
    Case(TASKS, "binary with three classes", lambda: fit(X, Y.assign(sold=["a", "b", "c", "a"] * (N // 4)), tasks={"sold": "binary"})),
    Case(TASKS, "declared classes that lack one", lambda: fit(tasks=[Task("sold", "binary", classes=["no", "maybe"])])),
    Case(WEIGHTS, "a negative weight", weighed(weight(-1.0))),
    Case(WEIGHTS, "NaN", weighed(weight(np.nan))),
    Case(WEIGHTS, "infinity", weighed(weight(np.inf))),
    Case(WEIGHTS, "all of them 0", weighed(np.zeros(N))),
    Case(WEIGHTS, "a weight of 0", weighed(weight(0.0))),
    Case(WEIGHTS, "0 for all labels of a task", weighed(np.tile([0.0, 1.0], (N, 1))), blank=("price",)),
    Case(WEIGHTS, "too few", weighed(np.ones(3))),
    Case(WEIGHTS, "a column for each of three tasks, of two", weighed(np.ones((N, 3)))),
    Case(WEIGHTS, "three axes", weighed(np.ones((N, 2, 1)))),
    Case(WEIGHTS, "words", weighed(np.array(["a"] * N))),
    Case(WEIGHTS, "complex numbers", weighed(np.ones(N) + 1j)),
    Case(WEIGHTS, "a number for all", weighed(2.0)),
    Case(WEIGHTS, "weights of 1e300", weighed(np.full(N, 1e300)), like=ALL),
    Case(WEIGHTS, "weights of 1e-300", weighed(np.full(N, 1e-300)), like=ALL),
    Case(WEIGHTS, "a frame with a task that is not there", weighed(pd.DataFrame({"price": np.ones(N), "cost": np.ones(N)}))),
    Case(WEIGHTS, "class_weight of an unknown class", weighed(None, class_weight={"sold": {"maybe": 2.0}})),
    Case(WEIGHTS, "class_weight of a task, misspelled", weighed(None, class_weight={"sold": "balancd"})),
    Case(WEIGHTS, "class_weight of a task, one for all classes", weighed(None, class_weight={"sold": 5.0})),
    Case(WEIGHTS, "class_weight of a class, a word", weighed(None, class_weight={"sold": {"yes": "2"}})),
    Case(WEIGHTS, "class_weight below 0", weighed(None, class_weight={"sold": {"yes": -2.0}})),
    Case(WEIGHTS, "class_weight of a number", weighed(None, class_weight={"price": {1: 2.0}})),
    Case(WEIGHTS, "loss_weights below 0", weighed(None, loss_weights={"price": -1.0})),
    Case(WEIGHTS, "loss_weights of an unknown task", weighed(None, loss_weights={"prise": 1.0})),
    Case(WEIGHTS, "loss_weights all 0", weighed(None, loss_weights=[0.0, 0.0])),
    Case(WEIGHTS, "loss_weights with NaN", weighed(None, loss_weights=[np.nan, 1.0])),
    Case(VALIDATION, "X_val without y_val", lambda: net().fit(X, Y, X_val=X)),
    Case(VALIDATION, "a class that training has not", validated(X, Y.assign(sold="maybe"))),
    Case(VALIDATION, "other columns of y", validated(X, Y[["price"]])),
    Case(VALIDATION, "other columns of X", validated(X[["age"]], Y)),
    Case(VALIDATION, "no label", validated(X, Y.map(lambda _: None))),
    Case(VALIDATION, "infinity", validated(X.assign(age=np.inf), Y)),
    Case(VALIDATION, "no row", validated(X[:0], Y[:0])),
    Case("partial_fit", "a class that is new", lambda: fitted().partial_fit(X, Y.assign(sold="maybe"))),
    Case("partial_fit", "a task that is not there", lambda: fitted().partial_fit(X, Y[["price"]])),
    Case("partial_fit", "other columns of X", lambda: fitted().partial_fit(X[["age"]], Y)),
    Case("partial_fit", "classes of an unknown task", lambda: net().partial_fit(X, Y, classes={"sould": ["a"]})),
    Case("partial_fit", "class_weight='balanced'", lambda: net(class_weight="balanced").partial_fit(X, Y)),
    Case("partial_fit", "a parameter changed that the net was built from", lambda: fitted().set_params(hidden_layer_sizes=(5,)).partial_fit(X, Y)),
]  # fmt: skip
