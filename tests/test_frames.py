import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skmtl._frames import (
    check_eager,
    describe_empty,
    empty_from,
    empty_like,
    frame_to_pandas,
    is_frame,
    is_series,
    pandas_to_backend,
    series_of,
    series_to_pandas,
)
from tests.oracle import WORDS

FRAMES = [pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}), pa.table({"a": [1]})]
SERIES = [pd.Series([1]), pl.Series([1]), pa.chunked_array([[1]])]
OTHERS = [np.zeros((2, 2)), [[1]], {"a": [1]}, None, "a", pl.LazyFrame({"a": [1]})]


def test_frames_and_series_are_told_apart():
    assert [is_frame(data) for data in [*FRAMES, *SERIES, *OTHERS]] == [True] * 3 + [False] * 9
    assert [is_series(data) for data in [*FRAMES, *SERIES, *OTHERS]] == (
        [False] * 3 + [True] * 3 + [False] * 6
    )


def test_doubled_names_are_no_obstacle():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert is_frame(frame)
    check_eager(frame, "X")
    assert frame_to_pandas(frame) is frame


def test_lazy_frame_is_an_error():
    with pytest.raises(TypeError, match=r"X is a lazy frame, which holds no rows yet. Call its"):
        check_eager(pl.LazyFrame({"a": [1]}), "X")


COLUMNS = [
    (pl.Float64, [1.5, None], "float64", [1.5, np.nan]),
    (pl.Float32, [1.5, 2.5], "float32", [1.5, 2.5]),
    (pl.Int8, [1, 2], "int8", [1, 2]),
    (pl.Int8, [1, None], "Int64", [1, pd.NA]),
    (pl.Boolean, [True, False], "bool", [True, False]),
    (pl.Boolean, [True, None], "boolean", [True, pd.NA]),
    (pl.String, ["a", "b"], WORDS, ["a", "b"]),
    (
        pl.Date,
        [dt.date(2024, 1, 2), None],
        "datetime64[s]",
        [pd.Timestamp("2024-01-02"), pd.NaT],
    ),
    (
        pl.Duration("ms"),
        [dt.timedelta(hours=1), None],
        "timedelta64[ms]",
        [pd.Timedelta("1h"), pd.NaT],
    ),
    (
        pl.Decimal(5, 1),
        [Decimal("1.5"), Decimal("2.5")],
        "object",
        [Decimal("1.5"), Decimal("2.5")],
    ),
]


@pytest.mark.parametrize(("dtype", "cells", "expected", "values"), COLUMNS)
def test_types_of_a_polars_column(dtype, cells, expected, values):
    column = series_to_pandas(pl.Series("c", cells, dtype=dtype))
    assert column.dtype == expected
    assert column.name == "c"
    pd.testing.assert_series_equal(column, pd.Series(values, dtype=expected, name="c"))


@pytest.mark.parametrize("make", [pl.Series, lambda cells: pa.chunked_array([cells])])
def test_missing_strings(make):
    assert series_to_pandas(make(["a", None])).isna().tolist() == [False, True]


def test_categories_of_each_library():
    enum = pl.Series(["b"], dtype=pl.Enum(["c", "b", "a"]))
    assert series_to_pandas(enum).cat.categories.tolist() == ["c", "b", "a"]
    # Those that occur in this column, whatever other columns of the process hold.
    pl.Series(["stranger"], dtype=pl.Categorical)
    categorical = pl.Series(["b", None, "a", "b"], dtype=pl.Categorical)
    assert series_to_pandas(categorical).cat.categories.tolist() == ["a", "b"]
    dictionary = pa.DictionaryArray.from_arrays(pa.array([1, None]), pa.array(["c", "b"]))
    column = series_to_pandas(pa.chunked_array([dictionary]))
    assert column.cat.categories.tolist() == ["c", "b"]
    assert column.tolist()[0] == "b"
    assert column.isna().tolist() == [False, True]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna"])
def test_time_zones_stay(zone):
    cells = pd.Series(pd.date_range("2024-01-01", periods=2, freq="h", tz=zone))
    column = series_to_pandas(pl.from_pandas(cells))
    assert str(column.dt.tz) == zone
    assert column.dt.hour.tolist() == [0, 1]


def test_frame_keeps_order_names_and_rows():
    frame = frame_to_pandas(pl.DataFrame({"b": [1, 2], "a": ["x", None]}))
    assert frame.columns.tolist() == ["b", "a"]
    assert frame.shape == (2, 2)
    assert frame_to_pandas(pl.DataFrame(schema={"a": pl.Int64})).shape == (0, 1)


@pytest.mark.parametrize("data", [*FRAMES, pl.Series("a", [1])])
def test_empty_like_has_names_and_no_rows(data):
    template = empty_like(data)
    assert is_frame(template)
    assert template.shape == (0, 1)


@pytest.mark.parametrize("library", [pl.from_pandas, pa.Table.from_pandas])
def test_there_and_back(library):
    frame = pd.DataFrame(
        {
            "size": [1.5, np.nan],
            "word": ["a", None],
            "kind": pd.Categorical(["x", "y"]),
            "flag": [True, False],
            "code": [1, 2],
        }
    )
    native = library(frame)
    back = pandas_to_backend(frame, empty_like(native), [True, False, False, False, False])
    assert type(back) is type(native)
    assert frame_to_pandas(back).isna().equals(frame.isna())
    same = back.schema if isinstance(back, pl.DataFrame) else back.schema.types
    assert same == (native.schema if isinstance(back, pl.DataFrame) else native.schema.types)
    pd.testing.assert_frame_equal(frame_to_pandas(back), frame_to_pandas(native))


def test_regression_targets_go_out_as_floats():
    template = pl.DataFrame(schema={"count": pl.Int64, "small": pl.Float32})
    out = pandas_to_backend(pd.DataFrame({"c": [0.5], "s": [1.5]}), template, [True, True])
    assert out.schema == {"count": pl.Float64, "small": pl.Float32}
    assert out.row(0) == (0.5, 1.5)


def test_column_of_nulls_stays_one():
    for native in (pl.DataFrame({"void": [None]}), pa.table({"void": pa.nulls(1)})):
        out = pandas_to_backend(pd.DataFrame({"void": [None]}), empty_like(native), [False])
        assert out.schema == native.schema


def test_series_of_a_frame():
    assert series_of(pl.DataFrame({"a": [1, 2]})).to_list() == [1, 2]
    assert series_of(pa.table({"a": [1, 2]})).to_pylist() == [1, 2]


DICTIONARY = pa.dictionary(pa.int8(), pa.large_string(), ordered=True)
EMPTY = [
    pl.DataFrame(schema={"a": pl.Int8, "b": pl.String, "c": pl.Enum(["x", "y"]), "": pl.Boolean}),
    pl.DataFrame(schema={"a": pl.Categorical, "b": pl.Float32}),
    pa.schema({"a": pa.large_string(), "b": DICTIONARY, "c": pa.bool_()}).empty_table(),
    pa.schema([("a", pa.float64()), ("b", pa.dictionary(pa.int32(), pa.string()))]).empty_table(),
]


@pytest.mark.parametrize("frame", EMPTY, ids=str)
def test_a_frame_without_rows_is_made_from_its_description(frame):
    described = json.loads(json.dumps(describe_empty(frame)))
    made = empty_from(described)
    assert type(made) is type(frame)
    assert made.schema == frame.schema


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": []}),
        pl.DataFrame(schema={"a": pl.Datetime("ms")}),
        pl.DataFrame(schema={"a": pl.List(pl.Int8)}),
        pa.schema({"a": pa.decimal128(5, 2)}).empty_table(),
        pa.schema({"a": pa.list_(pa.int8())}).empty_table(),
    ],
    ids=str,
)
def test_what_words_cannot_say_is_an_error(frame):
    with pytest.raises(TypeError, match="cannot be described"):
        describe_empty(frame)


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("pandas", "Int8"),
        ("os", "Int8"),
        ("polars", "DataFrame"),
        ("polars", {"a": 1}),
        ("pyarrow", "Table"),
    ],
)
def test_made_up_descriptions_are_an_error(library, words):
    with pytest.raises((ValueError, TypeError)):
        empty_from({"library": library, "columns": [["a", words]]})
