"""What `preprocess` means."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.estimators._preprocessing import encode_features, fit_preprocessing
from skmtl.features import FeatureEncoder


def test_words_without_preprocessing_are_named():
    X = pd.DataFrame({"a": [1.0], "town": ["x"]})
    with pytest.raises(ValueError, match=r"Columns \['town'\] of X are not numeric"):
        encode_features(None, X)


def test_a_transformer_of_the_users_is_fitted_on_a_copy(table):
    X, Y = table
    scaler = StandardScaler()
    est = MultiTaskNetClassifierRegressor(preprocess=scaler, max_epochs=1).fit(X, Y)
    assert not hasattr(scaler, "mean_")
    assert hasattr(est._preprocess, "mean_")
    with pytest.raises(ValueError, match=r"'auto', None or a transformer. Found `preprocess = 3`"):
        fit_preprocessing(3, X, np.ones(120))


def test_read_only_features_of_the_networks_own_type(table, make):
    X, Y = table
    X = X.astype(np.float32)
    X.setflags(write=False)
    make(preprocess=None, max_epochs=1).fit(X, Y).predict(X)
    frame = pd.DataFrame(X.astype(float))
    make(preprocess=None, max_epochs=1).fit(frame, Y).predict(frame)


def test_the_encoder_as_an_object_is_that_of_the_default():
    """Weights of rows count for its scales, too."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    weights = np.random.default_rng(1).random(60)
    fits = [
        MultiTaskNetRegressor(max_epochs=2, preprocess=preprocess, random_state=0).fit(
            X, X[:, 0], sample_weight=weights
        )
        for preprocess in ("auto", FeatureEncoder())
    ]
    np.testing.assert_array_equal(*(est.predict(X) for est in fits))
