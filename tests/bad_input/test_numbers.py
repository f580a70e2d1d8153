"""Numbers of any size: a fit works and predicts numbers, or says what is wrong."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skmtl import MultiTaskNetRegressor
from skmtl.training import DivergedError

SIZES = st.sampled_from([0.0, 1.0, -1.0, 3.0, 1e-310, 1e-200, 1e30, -1e30, 1e200, 1e308, -1.7e308])
ODD = st.sampled_from([np.nan, np.inf, -np.inf])
TYPES = st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u4", "?"])


def tables(cells, columns):
    return arrays.arrays(np.float64, (12, columns), elements=cells)


def outcome(X, y):
    est = MultiTaskNetRegressor(
        hidden_layer_sizes=(4,), max_epochs=2, n_members=1, early_stopping=False, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            predicted = est.fit(X, y).predict(X)
        except (ValueError, DivergedError) as error:
            assert not hasattr(est, "net_")
            return str(error)
    labelled = ~np.isnan(np.asarray(y, dtype=np.float64)).all(axis=0)
    assert np.isfinite(predicted[:, labelled]).all()
    assert np.isnan(predicted[:, ~labelled]).all()
    return None


@settings(max_examples=40, deadline=None, derandomize=True)
@given(X=tables(SIZES | st.floats(-5, 5) | st.just(np.nan), 3))
def test_features_of_any_size(X):
    said = outcome(X, np.arange(24.0).reshape(12, 2))
    assert said is None or "X" in said


@settings(max_examples=40, deadline=None, derandomize=True)
@given(y=tables(SIZES | st.floats(-5, 5) | st.just(np.nan), 2))
def test_targets_of_any_size(y):
    said = outcome(np.random.default_rng(0).normal(size=(12, 3)), y)
    assert said is None or "y has no label" in said or "'y" in said


@settings(max_examples=30, deadline=None, derandomize=True)
@given(X=tables(SIZES | ODD, 3), y=tables(SIZES | ODD, 2))
def test_infinities_are_told_apart_from_gaps(X, y):
    said = outcome(X, y)
    if np.isinf(X).any():
        assert "X contains infinity" in said
    elif np.isinf(y).any():
        assert "of y contains infinity" in said


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    cells=arrays.arrays(np.float64, (12, 3), elements=st.floats(0, 100)),
    kind=TYPES,
    of_y=TYPES.filter(lambda kind: kind != "?"),
)
@pytest.mark.filterwarnings("ignore")
def test_types_of_numbers(cells, kind, of_y):
    assert outcome(cells.astype(kind), cells[:, :2].astype(of_y)) is None
