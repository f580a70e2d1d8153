"""Features as they should not be, and as they may be."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from scipy import sparse

from tests.bad_input.case import NUMBERS, Case, N, X, Y, fit


def numbers(change, **params):
    """Fit on numbers that were changed."""
    return lambda: fit(change(NUMBERS.copy()), Y, **params)


def frame(change):
    """Fit on a frame that was changed."""
    return lambda: fit(change(X.copy()), Y)


def cell(value, column=1):
    """Put a value into one cell."""

    def change(table):
        if isinstance(table, pd.DataFrame):
            values = table.iloc[:, column].tolist()
            values[3] = value
            changed = pd.Series(values, table.index, dtype=object)
            table = table.assign(**{table.columns[column]: changed})
        else:
            table[3, column] = value
        return table

    return change


def read_only(table):
    table.flags.writeable = False
    return table


def in_steps(table):
    wide = np.zeros((2 * N, 4))
    wide[::2, ::2] = table
    return wide[::2, ::2]


PLAIN = numbers(lambda table: table)
AS_FRAME = frame(lambda table: table)
SHAPE = "X: shape"
CELLS = "X: cells"
TYPES = "X: types"
NAMES = "X: names and index"
MEMORY = "X: memory"

CASES = [
    Case(SHAPE, "no row", lambda: fit(X[:0], Y[:0])),
    Case(SHAPE, "no column", lambda: fit(X[[]], Y)),
    Case(SHAPE, "one row", lambda: fit(X[:1], Y[:1])),
    Case(SHAPE, "two rows", lambda: fit(X[:2], Y[:2])),
    Case(SHAPE, "one column as a vector", numbers(lambda table: table[:, 0])),
    Case(SHAPE, "a single number", lambda: fit(3.0, Y)),
    Case(SHAPE, "three axes", numbers(lambda table: table[:, :, None])),
    Case(SHAPE, "rows of unequal length", lambda: fit([[1.0], [1.0, 2.0]] * 20, Y)),
    Case(SHAPE, "None", lambda: fit(None, Y)),
    Case(SHAPE, "a word", lambda: fit("table.csv", Y)),
    Case(SHAPE, "a dict of columns", lambda: fit(dict(X), Y)),
    Case(SHAPE, "a list of dicts", lambda: fit(X.to_dict("records"), Y)),
    Case(SHAPE, "a generator", lambda: fit((row for row in NUMBERS), Y)),
    Case(SHAPE, "a list of rows", numbers(lambda table: table.tolist()), like=PLAIN),
    Case(SHAPE, "a lazy frame of polars", lambda: fit(pl.from_pandas(X).lazy(), Y)),
    Case(SHAPE, "numpy.matrix", lambda: fit(np.asmatrix(NUMBERS), Y)),
    Case(CELLS, "infinity", numbers(cell(np.inf))),
    Case(CELLS, "minus infinity in a frame", frame(cell(-np.inf))),
    Case(CELLS, "a missing number", numbers(cell(np.nan))),
    Case(CELLS, "a missing number, preprocess=None", numbers(cell(np.nan), preprocess=None)),
    Case(CELLS, "infinity, preprocess=None", numbers(cell(np.inf), preprocess=None)),
    Case(CELLS, "a column of missing numbers", frame(lambda t: t.assign(age=np.nan))),
    Case(CELLS, "nothing but missing cells", frame(lambda t: t.map(lambda _: np.nan))),
    Case(CELLS, "a column of None", frame(lambda t: t.assign(word=None))),
    Case(CELLS, "a number of 1e308", numbers(cell(1e308))),
    Case(CELLS, "1e308 and -1e308 in a column", numbers(lambda t: np.sign(t) * 1e308)),
    Case(CELLS, "a number of 1e308, preprocess=None", numbers(cell(1e308), preprocess=None)),
    Case(CELLS, "numbers of 1e-310", numbers(lambda t: t * 1e-310)),
    Case(CELLS, "a number of 1e30 among ordinary ones", numbers(cell(1e30))),
    Case(CELLS, "numbers near 1e15 that differ by 1", numbers(lambda t: 1e15 + np.round(t))),
    Case(CELLS, "a constant column", frame(lambda t: t.assign(age=3.0))),
    Case(CELLS, "constant columns alone", numbers(lambda t: np.ones_like(t))),
    Case(CELLS, "a word among numbers", frame(cell("many"))),
    Case(CELLS, "a list in a cell", frame(cell([1, 2]))),
    Case(CELLS, "bytes in a cell", frame(cell(b"a", 2))),
    Case(CELLS, "an object in a cell", frame(cell(object(), 2))),
    Case(CELLS, "True among words", frame(cell(True, 2))),
    Case(CELLS, "as many words as rows", frame(lambda t: t.assign(word=list(map(str, range(N)))))),
    Case(CELLS, "empty words", frame(lambda t: t.assign(word=""))),
    Case(CELLS, "an integer of 400 digits", frame(cell(10**400))),
    Case(TYPES, "complex numbers", numbers(lambda t: t + 1j)),
    Case(TYPES, "a complex column", frame(lambda t: t.assign(age=t["age"] + 1j))),
    Case(TYPES, "numbers as objects", numbers(lambda t: t.astype(object)), like=PLAIN),
    Case(TYPES, "numbers as words", numbers(lambda t: t.astype(str))),
    Case(TYPES, "columns of numbers as words", frame(lambda t: t.astype({"age": str}))),
    Case(TYPES, "dates", frame(lambda t: t.assign(age=pd.date_range("2024", periods=N)))),
    Case(TYPES, "dates alone", lambda: fit(pd.date_range("2024", periods=N).to_numpy()[:, None], Y)),
    Case(TYPES, "differences of dates", frame(lambda t: t.assign(age=pd.to_timedelta(t["age"], "s")))),
    Case(TYPES, "periods", frame(lambda t: t.assign(age=pd.period_range("2024", periods=N)))),
    Case(TYPES, "categories", frame(lambda t: t.astype({"word": "category"})), like=AS_FRAME),
    Case(TYPES, "nullable numbers", frame(lambda t: t.astype({"age": "Float64"})), like=AS_FRAME),
    Case(TYPES, "nullable flags", frame(lambda t: t.assign(age=(t["age"] > 0).astype("boolean")))),
    Case(TYPES, "decimals", frame(lambda t: t.assign(age=t["age"].map(decimal.Decimal)))),
    Case(TYPES, "columns of pandas that are sparse", frame(lambda t: t.assign(age=pd.arrays.SparseArray(t["age"])))),
    Case(TYPES, "flags", numbers(lambda t: t > 0)),
    Case(TYPES, "8-bit integers", numbers(lambda t: (10 * t).astype(np.int8)), like=numbers(lambda t: (10 * t).astype(np.int8).astype(float))),
    Case(TYPES, "half precision", numbers(lambda t: t.astype(np.float16)), like=numbers(lambda t: t.astype(np.float16).astype(float))),
    Case(TYPES, "long double", numbers(lambda t: t.astype(np.longdouble)), like=PLAIN),
    Case(TYPES, "structured rows", numbers(lambda t: np.array([tuple(row) for row in t], "f8,f8"))),
    Case(TYPES, "a masked array", numbers(lambda t: np.ma.masked_array(t, t > 1))),
    Case(TYPES, "a frame of polars", lambda: fit(pl.from_pandas(X), Y), like=AS_FRAME),
    Case(TYPES, "a table of pyarrow", lambda: fit(pa.Table.from_pandas(X), Y), like=AS_FRAME),
    Case(TYPES, "a sparse matrix", numbers(sparse.csr_array)),
    Case(TYPES, "sparse coordinates", numbers(sparse.coo_array), like=numbers(sparse.csr_array)),
    Case(TYPES, "sparse with a missing number", numbers(lambda t: sparse.csr_array(cell(np.nan)(t)))),
    Case(TYPES, "sparse with infinity", numbers(lambda t: sparse.csr_array(cell(np.inf)(t)))),
    Case(TYPES, "a sparse vector", lambda: fit(sparse.coo_array(NUMBERS[:, 0]), Y)),
    Case(TYPES, "a tensor", numbers(torch.tensor), like=PLAIN),
    Case(TYPES, "a tensor with gradients", numbers(lambda t: torch.tensor(t, requires_grad=True))),
    Case(TYPES, "a tensor on the device meta", numbers(lambda t: torch.tensor(t).to("meta"))),
    Case(TYPES, "a tensor of bfloat16", numbers(lambda t: torch.tensor(t).bfloat16())),
    Case(TYPES, "a sparse tensor", numbers(lambda t: torch.tensor(t).to_sparse())),
    Case(NAMES, "a name twice", frame(lambda t: t.set_axis(["age", "age", "word"], axis=1))),
    Case(NAMES, "names that are words and numbers", frame(lambda t: t.set_axis(["age", 1, "word"], axis=1))),
    Case(NAMES, "names that are numbers", frame(lambda t: t.set_axis([5, 6, 7], axis=1)), like=AS_FRAME),
    Case(NAMES, "names of two levels", frame(lambda t: t.set_axis(pd.MultiIndex.from_product([["a"], list("xyz")]), axis=1))),
    Case(NAMES, "an index of words", frame(lambda t: t.set_axis(list(map(str, range(N))))), like=AS_FRAME),
    Case(NAMES, "an index that repeats", frame(lambda t: t.set_axis([0] * N)), like=AS_FRAME),
    Case(NAMES, "an index in another order than y's", frame(lambda t: t.set_axis(range(N)[::-1])), like=AS_FRAME),
    Case(MEMORY, "read-only", numbers(read_only), like=PLAIN),
    Case(MEMORY, "read-only, preprocess=None", numbers(read_only, preprocess=None), like=numbers(lambda t: t, preprocess=None)),
    Case(MEMORY, "by columns", numbers(np.asfortranarray), like=PLAIN),
    Case(MEMORY, "every second row and column of another", numbers(in_steps), like=PLAIN),
    Case(MEMORY, "backwards", numbers(lambda t: t[::-1].copy()[::-1]), like=PLAIN),
    Case(MEMORY, "bytes in the other order", numbers(lambda t: t.astype(">f8")), like=PLAIN),
    Case(MEMORY, "one row many times", lambda: fit(np.broadcast_to(NUMBERS[0], (N, 2)), Y)),
]  # fmt: skip
