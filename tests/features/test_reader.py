import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from skmtl.features import FeatureEncoder, read_features
from tests.oracle import WORDS

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def read(data, *, allow_nan=True, estimator=None):
    return read_features(estimator or BaseEstimator(), data, reset=True, allow_nan=allow_nan)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (X, "f8"),
        (X.astype("f4"), "f4"),
        (X.astype("f2"), "f8"),
        (X.astype(int), "f8"),
        (X > 2, "f8"),
        (X.tolist(), "f8"),
        (X.astype(object), "f8"),
        (torch.tensor(X), "f8"),
        (torch.tensor(X).float(), "f4"),
        (torch.tensor(X).bfloat16(), "f4"),
    ],
)
def test_numbers_become_a_float_array(data, dtype):
    estimator = BaseEstimator()
    read_ = read(data, estimator=estimator)
    assert isinstance(read_, np.ndarray)
    assert read_.dtype == dtype
    np.testing.assert_array_equal(
        read_, np.asarray(data, dtype=float) if not torch.is_tensor(data) else X
    )
    assert estimator.n_features_in_ == 2
    assert not hasattr(estimator, "feature_names_in_")


def test_frame_stays_a_frame_with_names():
    estimator = BaseEstimator()
    frame = read(pl.DataFrame({"a": [1, 2], "b": ["x", None]}), estimator=estimator)
    assert isinstance(frame, pd.DataFrame)
    assert frame["b"].isna().tolist() == [False, True]
    assert estimator.feature_names_in_.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        np.array([[1.5, "a"], [2.5, None]], dtype=object),
        [[1.5, "a"], [2.5, None]],
        np.array([["1", "a"], ["2", "b"]]),
    ],
    ids=["objects", "rows", "strings"],
)
def test_words_in_an_array_make_it_a_frame(data):
    frame = read(data)
    assert isinstance(frame, pd.DataFrame)
    assert frame.shape == (2, 2)
    assert frame[1].iloc[0] == "a"


def test_numbers_beside_words_stay_numbers():
    frame = read(np.array([[1.5, "a"], [None, "b"]], dtype=object))
    assert frame[0].dtype == np.float64


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_sparse_becomes_csr(form):
    data = sparse.coo_array(X).asformat(form)
    read_ = read(data)
    assert read_.format == "csr"
    np.testing.assert_array_equal(read_.toarray(), X)


def test_arrays_of_more_axes_stay_as_they_are():
    images = np.zeros((4, 3, 5, 5), dtype="f4")
    assert read(images).shape == (4, 3, 5, 5)


def test_masked_cells_are_missing():
    np.testing.assert_array_equal(read(np.ma.array(X, mask=X > 5)), [[1, 2], [3, 4], [5, np.nan]])
    whole = read(np.ma.array(X))
    assert type(whole) is np.ndarray
    np.testing.assert_array_equal(whole, X)
    words = np.ma.array(np.array([["a"], ["b"]], dtype=object), mask=[[True], [False]])
    assert read(words)[0].isna().tolist() == [True, False]


def test_sparse_columns_become_dense_and_others_stay():
    frame = pd.DataFrame.sparse.from_spmatrix(sparse.csr_array(X), columns=["a", "b"])
    dense = read(frame.assign(w=["x", "y", "z"]))
    assert [str(dtype) for dtype in dense.dtypes] == ["float64", "float64", WORDS]
    np.testing.assert_array_equal(dense[["a", "b"]], X)


def test_names_are_checked_after_fit():
    estimator = BaseEstimator()
    read(pd.DataFrame(X, columns=["a", "b"]), estimator=estimator)
    with pytest.raises(ValueError, match="must be in the same order"):
        read_features(estimator, pd.DataFrame(X, columns=["b", "a"]), reset=False, allow_nan=True)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        read_features(estimator, X, reset=False, allow_nan=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame({"a": [1.0, np.inf]}), "Column 'a' of X contains infinity, in 1 rows"),
        (pd.DataFrame({"a": [1j, 2j]}), "Complex data not supported: column 'a' of X"),
        (pd.DataFrame(X, columns=["a", "a"]), r"different names. Found twice: \['a'\]"),
        (pd.DataFrame(index=range(3)), r"at least one column. Found shape \(3, 0\)"),
        (pd.DataFrame({"a": []}), r"at least one row. Found shape \(0, 1\)"),
        (np.array([[np.inf]]), "Input X contains infinity"),
        (np.array([[1j]]), "Complex data not supported"),
        (np.zeros(3), "Expected 2D array, got 1D array"),
        (np.zeros((0, 3)), r"Found array with 0 sample\(s\)"),
        (sparse.csr_array([[np.nan]]), "Input X contains NaN"),
    ],
)
def test_what_is_no_table_of_features_is_an_error(data, message):
    with pytest.raises(ValueError, match=message):
        read(data)


def test_missing_values_are_an_error_where_nothing_fills_them():
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [1.0, 2.0], "c": ["x", None]})
    with pytest.raises(ValueError, match=r"contains NaN, in columns \['a', 'c'\].*'auto'"):
        read(frame, allow_nan=False)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        read(frame[["a", "b"]].to_numpy(), allow_nan=False)


def test_lazy_frame_is_an_error():
    with pytest.raises(TypeError, match="X is a lazy frame"):
        read(pl.LazyFrame({"a": [1]}))


def fitted(X):
    return read(X, estimator=(estimator := BaseEstimator())) is X and estimator


def test_clean_numbers_pass_as_they_are():
    estimator = fitted(X)
    assert read_features(estimator, X, reset=False, allow_nan=False) is X


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (np.where(X > 4, np.nan, X), "contains NaN"),
        (np.where(X > 4, np.inf, X), "infinity"),
        (X[:, :1], "features"),
        (X[:0], "0 sample"),
        (X[0], "1D array"),
    ],
)
def test_what_is_wrong_with_later_rows_is_said_all_the_same(data, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_features(fitted(X), data, reset=False, allow_nan=False)


def test_numbers_whose_sum_is_too_large_are_no_infinity():
    large = np.full((2, 2), 1e308)
    np.testing.assert_array_equal(
        read_features(fitted(X), large, reset=False, allow_nan=False), large
    )


def test_an_array_beside_names_is_warned_of():
    estimator = BaseEstimator()
    read(pd.DataFrame(X, columns=["a", "b"]), estimator=estimator)
    with pytest.warns(UserWarning, match="valid feature names"):
        read_features(estimator, X, reset=False, allow_nan=False)


def test_an_array_of_words_is_read_alike_whatever_the_rows_beside_it():
    """Also where all words of the call look like numbers."""
    words = np.array(["01067", "10115", "SW1A"] * 20, dtype=object)
    X = np.column_stack([np.arange(60.0).astype(object), words])
    encoder = FeatureEncoder().fit(X)
    whole = encoder.transform(X)
    for later in (X[:1], X[:1].tolist(), X[:1].astype(str)):
        np.testing.assert_array_equal(encoder.transform(later), whole[:1])
    np.testing.assert_array_equal(encoder.transform(X[:2]), whole[:2])


@pytest.mark.parametrize("cell", [pd.Timestamp("2024-01-01"), dt.date(2024, 1, 1), dt.timedelta(1)])
def test_an_array_may_hold_dates(cell):
    """As those that ColumnTransformer makes of columns that pass through."""
    X = np.array([[0.5, cell], [1.5, None]], dtype=object)
    frame = pd.DataFrame(X).infer_objects()
    np.testing.assert_array_equal(
        FeatureEncoder().fit_transform(X), FeatureEncoder().fit_transform(frame)
    )


def test_a_frame_beside_an_array_is_read_as_numbers():
    X = np.random.default_rng(0).normal(size=(50, 2))
    encoder = FeatureEncoder(numbers="standard").fit(X)
    gaps = pd.DataFrame({"a": pd.array([0.5, None], dtype="Float64"), "b": [True, False]})
    plain = np.array([[0.5, 1.0], [np.nan, 0.0]])
    with pytest.warns(UserWarning, match="X has feature names"):
        np.testing.assert_array_equal(encoder.transform(gaps), encoder.transform(plain))
    with pytest.raises(ValueError, match=r"held numbers in fit\. Found str values such as 'x'"):
        encoder.transform(np.array([[0.5, "x"]], dtype=object))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["inf", "1"], dtype=object),
        pd.Categorical([np.inf, 1.0]),
        [Decimal("inf"), Decimal(1)],
    ],
    ids=["words", "category", "decimal"],
)
def test_infinity_of_any_type_is_an_error_that_names_the_column(column):
    encoder = FeatureEncoder().fit(pd.DataFrame({"a": np.arange(9.0)}))
    with pytest.raises(ValueError, match="Column 'a' of X contains infinity, in 1 rows"):
        encoder.transform(pd.DataFrame({"a": column}))


@pytest.mark.parametrize("n_rows", [1, 5_000])
def test_frames_of_numbers_are_checked_whether_they_are_small_or_not(n_rows):
    frame = pd.DataFrame({"a": np.ones(n_rows), "b": np.arange(n_rows), "c": np.ones(n_rows) > 0})
    estimator = BaseEstimator()
    read_features(estimator, frame, reset=True, allow_nan=True)

    def asked(data, *, allow_nan=True):
        return read_features(estimator, data, reset=False, allow_nan=allow_nan)

    pd.testing.assert_frame_equal(asked(frame), frame)
    gap = frame.assign(a=np.nan)
    pd.testing.assert_frame_equal(asked(gap), gap)
    with pytest.raises(ValueError, match=r"contains NaN, in columns \['a'\]"):
        asked(gap, allow_nan=False)
    with pytest.raises(ValueError, match="Column 'a' of X contains infinity"):
        asked(frame.assign(a=np.inf))
    for other in (frame[["b", "a", "c"]], frame[["a", "b"]], frame.assign(d=1.0)):
        with pytest.raises(ValueError, match="feature names"):
            asked(other)
    with pytest.raises(ValueError, match="Complex data not supported"):
        asked(frame.assign(a=1j))
