"""What `preprocess` means."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._preprocessing import encode_features, fit_preprocessing


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
