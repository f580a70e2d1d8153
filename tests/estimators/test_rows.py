"""Which rows train and which judge."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.estimators import _rows
from skmtl.estimators._rows import Rows, named_classes, split_rows
from skmtl.features import FeatureWarning
from skmtl.layers import Seeds
from skmtl.tasks import TargetEncoder


def rows_of(Y):
    encoder = TargetEncoder().fit(Y)
    targets = encoder.transform(Y)
    return Rows(np.zeros((len(Y), 1)), targets, targets.mask * 1.0, np.ones(len(Y))), encoder


def test_validation_rows_keep_the_shares():
    Y = pd.DataFrame({"rare": ["hit"] * 10 + ["none"] * 90})
    rows, encoder = rows_of(Y)
    train, valid = split_rows(rows, encoder.tasks_, 0.2, Seeds.spawn(np.random.RandomState(0)))
    assert (len(train), len(valid)) == (80, 20)
    assert (valid.targets.values == 0).sum() == 2


def test_an_empty_part_is_an_error():
    rows, encoder = rows_of(pd.DataFrame({"a": [1.5, 2.5]}))
    with pytest.raises(ValueError, match="of 2 labelled rows leaves one part empty"):
        split_rows(rows, encoder.tasks_, 0.01, Seeds.spawn(np.random.RandomState(0)))


def test_labelled_leaves_out_rows_without_a_label():
    rows, _ = rows_of(pd.DataFrame({"a": [1.5, None, 2.5], "b": [0.5, None, None]}))
    assert len(rows.labelled()) == 2
    np.testing.assert_array_equal(rows.labelled().targets.values[:, 0], [1.5, 2.5])


def test_classes_by_name_by_order_and_alone():
    Y = pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"]})
    assert named_classes(None, TargetEncoder(), Y) is None
    assert named_classes([["x"], ["u"]], TargetEncoder(), Y) == {"a": ["x"], "b": ["u"]}
    assert named_classes(["x", "z"], TargetEncoder(), Y[["a"]]) == {"a": ["x", "z"]}
    with pytest.raises(ValueError, match=r"one entry for each of the 2 tasks.*Found 1"):
        named_classes([["x"]], TargetEncoder(), Y)


def test_validation_rows_through_the_steps_of_a_pipeline(table, make):
    X, Y = table
    with sklearn.config_context(enable_metadata_routing=True):
        est = make(max_epochs=3).set_fit_request(X_val=True, y_val=True)
        pipe = make_pipeline(StandardScaler(), est, transform_input=["X_val"])
        pipe.fit(X, Y, X_val=X[:40], y_val=Y[:40])
    alone = clone(est).fit(
        pipe[:-1].transform(X), Y, X_val=pipe[:-1].transform(X[:40]), y_val=Y[:40]
    )
    np.testing.assert_allclose(pipe[-1].history_["valid_score"], alone.history_["valid_score"])


def test_a_word_among_the_numbers_of_a_row_that_is_parted_off():
    """All rows say what a column is, and those that train what its means and categories are."""
    X = pd.DataFrame({"a": np.arange(200.0), "b": np.arange(200.0) * 1.5})
    Y = pd.DataFrame({"y": np.arange(200) * 0.5})
    est = MultiTaskNetClassifierRegressor(preset="fast", max_epochs=2, random_state=0)
    rows = _held_out_rows(est, X, Y)
    assert 0 < len(rows) < 100
    X["b"] = X["b"].astype(object)
    X.loc[rows[0], "b"] = "unknown"
    with pytest.warns(FeatureWarning, match=r"not \['unknown'\]"):
        est.fit(X, Y)
    assert "unknown" not in est.preprocess_.categories_.categories_[0]
    assert est.predict(X).shape == (200, 1)


def _held_out_rows(est, X, Y):
    kept = []

    def split(rows, *args):
        parts = split_rows(rows, *args)
        kept.append(parts[1].index)
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "split_rows", split)
        est.fit(X, Y)
    return kept[0]


@pytest.mark.parametrize("container", ["array", "frame"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_fit_holds_one_copy_of_the_features(container, early_stopping, monkeypatch):
    """Rows are parted off by their numbers, and encoded a part of them at a time."""
    monkeypatch.setattr("skmtl.features._encoder._ENTRIES", 1 << 14)
    X = np.random.default_rng(0).standard_normal((40_000, 50)).astype(np.float32)
    params = {"hidden_layer_sizes": (4,), "n_bins": 0, "max_epochs": 1, "n_members": 1}
    est = MultiTaskNetRegressor(**params, early_stopping=early_stopping, random_state=0)
    table = X if container == "array" else pd.DataFrame(X).add_prefix("x")
    est.fit(table[:100], X[:100, 0])  # what is imported or kept once
    tracemalloc.start()
    try:
        est.fit(table, X[:, 0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert X.nbytes < peak < 1.5 * X.nbytes
