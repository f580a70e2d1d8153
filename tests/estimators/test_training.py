"""Steps of fit that stand by themselves: building, preprocessing, training."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._building import batch_size_for, choose_device, resolve_trunk
from skmtl.estimators._preprocessing import encode_features, fit_preprocessing
from skmtl.estimators._training import all_or_nothing
from skmtl.trunks import MLP


@pytest.mark.parametrize(
    ("n_rows", "size"), [(10, 32), (1499, 32), (1500, 64), (7999, 128), (8000, 256)]
)
def test_batch_size_grows_with_the_rows(n_rows, size):
    assert batch_size_for(n_rows) == size


def test_flat_parameters_reach_a_trunk_given_by_name():
    est = MultiTaskNetClassifierRegressor(hidden_layer_sizes=(3,), activation="tanh", dropout=0.1)
    assert repr(resolve_trunk(est)) == repr(MLP((3,), "tanh", 0.1))


def test_flat_parameters_beside_a_trunk_object_are_refused():
    est = MultiTaskNetClassifierRegressor(trunk=MLP((3,)), hidden_layer_sizes=(4,))
    with pytest.raises(ValueError, match="`hidden_layer_sizes = \\(4,\\)` would have no effect"):
        resolve_trunk(est)


def test_devices(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="torch finds no CUDA device. Use device='auto'"):
        choose_device("cuda")


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
    with pytest.raises(ValueError, match="'auto', None or a transformer. Found `preprocess = 3`"):
        fit_preprocessing(3, X, np.ones(120))


def test_all_or_nothing_gives_attributes_back():
    class Thing:
        pass

    thing = Thing()
    thing.kept = thing.changed = 1

    def break_off():
        with all_or_nothing(thing):
            thing.changed, thing.new = 2, 3
            del thing.kept
            raise KeyError("x")

    with pytest.raises(KeyError):
        break_off()
    assert vars(thing) == {"kept": 1, "changed": 1}


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
