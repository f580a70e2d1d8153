import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse

from skmtl.tasks import read_table
from skmtl.tasks._table import Container
from tests.oracle import WORDS


def round_trip(y, is_number):
    """What comes out if every prediction is right."""
    frame, container = read_table(y)
    return container.restore(frame, is_number)


def test_pandas_frame_is_taken_as_it_is():
    y = pd.DataFrame({"a": [1.5, None]}, index=[4, 5])
    frame, container = read_table(y)
    assert frame is y
    assert container == Container("frame")
    assert container.restore(frame, [True]) is y


@pytest.mark.parametrize("name", ["size", None, 3])
def test_pandas_series_keeps_its_name(name):
    y = pd.Series([1.5, 2.5], name=name)
    frame, container = read_table(y)
    assert frame.columns.tolist() == ["y" if name is None else name]
    assert container.n_dims == 1
    pd.testing.assert_series_equal(round_trip(y, [True]), y)


def test_polars_frame_round_trip():
    y = pl.DataFrame(
        {
            "size": [1.5, None],
            "code": pl.Series([None, 2], dtype=pl.Int8),
            "level": pl.Series(["b", None], dtype=pl.Enum(["c", "b"])),
            "void": [None, None],
        }
    )
    frame, _ = read_table(y)
    assert frame["level"].cat.categories.tolist() == ["c", "b"]
    assert frame.isna().to_numpy().tolist() == [
        [False, True, False, True],
        [True, False, True, True],
    ]
    back = round_trip(y, [True, False, False, False])
    assert back.equals(y)
    assert back.schema == y.schema


@pytest.mark.parametrize("name", ["size", ""])
def test_polars_series_keeps_its_name(name):
    y = pl.Series(name, [1.5, None])
    back = round_trip(y, [True])
    assert back.name == name
    assert back.equals(y)


def test_pyarrow_table_round_trip_with_dictionaries():
    kinds = pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), pa.array(["c", "b"]))
    y = pa.table({"size": [1.5, None], "kind": kinds, "void": pa.nulls(2)})
    assert read_table(y)[0]["kind"].cat.categories.tolist() == ["c", "b"]
    back = round_trip(y, [True, False, False])
    assert back.schema.types == y.schema.types
    assert back.to_pylist() == y.to_pylist()


def test_pyarrow_column_round_trip():
    y = pa.chunked_array([["a", None], ["b"]])
    back = round_trip(y, [False])
    assert isinstance(back, pa.ChunkedArray)
    assert back.to_pylist() == ["a", None, "b"]


@pytest.mark.parametrize("backend", [pl.DataFrame, pa.table])
def test_regression_of_whole_numbers_goes_out_as_floats(backend):
    _, container = read_table(backend({"count": [1, 2]}))
    out = container.restore(pd.DataFrame({"count": [0.5, 2.0]}), [True])
    assert list(out.to_pandas()["count"]) == [0.5, 2.0]


@pytest.mark.parametrize(
    "y",
    [
        np.array([1.5, np.nan]),
        np.array([1, 2], dtype="i2"),
        np.array([True, False]),
        np.array([1.5, 2.5], dtype="f2"),
        np.array(["a", "bcd"]),
        np.array([b"a", b"bc"]),
        np.array(["a", 1], dtype=object),
        np.array([[1, 2], [3, 4]]),
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[1.5, "a"], [2.5, "b"]], dtype=object),
    ],
    ids=lambda y: f"{y.dtype}, {y.ndim}-D",
)
def test_array_round_trip(y):
    columns = 1 if y.ndim == 1 else y.shape[1]
    back = round_trip(y, [False] * columns)
    assert back.dtype == y.dtype
    np.testing.assert_array_equal(back, y)


def test_columns_of_an_array_are_numbered():
    assert read_table(np.zeros((3, 2)))[0].columns.tolist() == ["y0", "y1"]
    assert read_table(np.zeros(3))[0].columns.tolist() == ["y"]


def test_frame_of_an_array_has_memory_of_its_own():
    y = np.zeros((3, 2))
    frame, _ = read_table(y)
    y[:] = 7
    assert (frame == 0).all(axis=None)


def test_numbers_of_several_types_meet_in_float64():
    container = Container("array")
    out = container.restore(
        pd.DataFrame({"a": np.array([1], "i8"), "b": np.array([0.5], "f4")}), [False, True]
    )
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, [[1, 0.5]])


def test_numbers_beside_words_go_out_as_objects():
    out = Container("array").restore(pd.DataFrame({"a": [0.5], "b": ["x"]}), [True, False])
    assert out.tolist() == [[0.5, "x"]]
    assert out.dtype == object


def test_structured_array_round_trip():
    y = np.array(
        [(1.5, "ab", True), (2.5, "c", False)], dtype=[("a", "f4"), ("b", "U4"), ("c", "?")]
    )
    back = round_trip(y, [True, False, False])
    assert back.dtype == y.dtype
    np.testing.assert_array_equal(back, y)


def test_masked_cells_are_missing_and_types_stay():
    y = np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]], dtype="i4")
    frame, container = read_table(y)
    assert frame.isna().to_numpy().tolist() == [[False, True], [False, False]]
    assert frame["y1"].iloc[1] == 4
    predicted = pd.DataFrame({c: pd.array([7, 8], dtype=frame[c].dtype) for c in frame})
    assert container.restore(predicted, [False, False]).dtype == np.int32


def test_masked_cells_in_a_list_are_missing():
    y = np.ma.array([1.5, 2.5, 3.5], mask=[False, True, False])
    frame, _ = read_table(list(y))
    assert frame.iloc[:, 0].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", ["f4", "f8", "?", "i8", "U3", object])
def test_masked_column_of_any_type(dtype):
    y = np.ma.array(np.array([1, 0, 1]).astype(dtype), mask=[True, False, False])
    frame, _ = read_table(y)
    assert frame["y"].isna().tolist() == [True, False, False]
    assert frame["y"].iloc[1] == np.array([0]).astype(dtype)[0]


def test_masked_structured_array():
    y = np.ma.array(
        np.array([(1.5, 2), (2.5, 3)], dtype=[("a", "f4"), ("b", "i2")]),
        mask=[(True, False), (False, True)],
    )
    frame, _ = read_table(y)
    assert frame.isna().to_numpy().tolist() == [[True, False], [False, True]]
    assert [frame["a"].dtype, frame["b"].dtype] == [np.float32, pd.Int16Dtype()]


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1.5, 2.5], np.array([1.5, 2.5])),
        ([1, 2], np.array([1, 2])),
        ([True, False], np.array([True, False])),
        (["a", "b"], np.array(["a", "b"], dtype=object)),
        ([1, "a"], np.array([1, "a"], dtype=object)),
        ((1, 2), np.array([1, 2])),
        (range(3), np.arange(3)),
        ([[1.5, "a"], (2.5, "b")], np.array([[1.5, "a"], [2.5, "b"]], dtype=object)),
        ([np.array([1, 2]), np.array([3, 4])], np.array([[1, 2], [3, 4]])),
    ],
)
def test_lists_become_arrays(y, expected):
    frame, container = read_table(y)
    assert container.form == "array"
    assert container.n_dims == expected.ndim
    back = container.restore(frame, [False] * frame.shape[1])
    assert [[*row] for row in np.atleast_2d(back).tolist()] == np.atleast_2d(expected).tolist()


def test_numbers_beside_words_in_rows_stay_numbers():
    frame, _ = read_table([[1, "a"], [2, "b"]])
    assert frame["y0"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "y",
    [
        torch.tensor([1.5, 2.5], dtype=torch.float64),
        torch.tensor([[1.5, float("nan")]], dtype=torch.float32),
        torch.tensor([1.5], dtype=torch.bfloat16),
        torch.tensor([1.5], dtype=torch.float16),
        torch.tensor([1, 2]),
        torch.tensor([True, False]),
        torch.tensor([1.5, 2.5], requires_grad=True),
    ],
    ids=lambda y: f"{y.dtype}, {y.ndim}-D",
)
def test_tensor_round_trip(y):
    back = round_trip(y, [True] * (1 if y.ndim == 1 else y.shape[1]))
    assert back.dtype == y.dtype
    torch.testing.assert_close(back, y.detach(), equal_nan=True)


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        (pd.Categorical(["a", "b"], categories=["c", "a", "b"]), "category"),
        (pd.array([1, None], dtype="Int64"), "Int64"),
        (pd.Index(["a", "b"]), WORDS),
    ],
)
def test_bare_pandas_arrays_keep_their_type_inside(y, dtype):
    frame, container = read_table(y)
    assert frame["y"].dtype == dtype
    assert container.n_dims == 1
    assert isinstance(container.restore(frame, [False]), np.ndarray)


def test_dict_keeps_the_type_of_each_column():
    y = {"a": [1.5, None], "b": pd.Categorical(["x", "y"]), "c": pl.Series([None, "z"])}
    frame, container = read_table(y)
    assert container.form == "frame"
    assert frame.columns.tolist() == ["a", "b", "c"]
    assert isinstance(frame["b"].dtype, pd.CategoricalDtype)
    assert frame.isna().to_numpy().tolist() == [[False, False, True], [True, False, False]]


def test_dict_of_series_goes_by_position():
    y = {"a": pd.Series([1, 2], index=[5, 6]), "b": pd.Series([3, 4], index=[6, 5])}
    assert read_table(y)[0].to_numpy().tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize("y", [pl.DataFrame({"a": [1]}), pa.table({"a": [1]}), pl.Series([1])])
def test_container_can_be_pickled(y):
    frame, container = read_table(y)
    back = pickle.loads(pickle.dumps(container)).restore(frame, [False])
    assert back.equals(y)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "the target y is None"),
        (sparse.csr_array(np.eye(2)), ValueError, "Sparse targets are not supported"),
        (np.zeros((2, 2, 2)), ValueError, r"Found shape \(2, 2, 2\)"),
        (3.5, ValueError, r"Found shape \(\)"),
        ([[1, 2], [3]], ValueError, r"Found lengths \[1, 2\]"),
        ([[1, 2], 3], ValueError, r"Found lengths \[2\] and single cells"),
        ({"a": [1, 2], "b": [1]}, ValueError, "Found {'a': 2, 'b': 1}"),
        ({"a": [[1, 2], [3, 4]]}, ValueError, "Found 2 columns under 'a'"),
        ({}, ValueError, "Found an empty dict"),
        (
            np.zeros(2, dtype=[("a", "f4", 3)]),
            ValueError,
            r"one value per row. Found shape \(2, 3\)",
        ),
        (pl.LazyFrame({"a": [1]}), TypeError, "y is a lazy frame"),
    ],
    ids=[
        "None",
        "sparse",
        "3-D",
        "0-D",
        "ragged",
        "mixed",
        "lengths",
        "wide",
        "empty",
        "nested",
        "lazy",
    ],
)
def test_what_is_no_table_is_an_error(y, error, message):
    with pytest.raises(error, match=message):
        read_table(y)
