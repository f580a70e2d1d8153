"""What a fitted estimator says of rows: means over networks, and how far they are apart."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifier, MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.estimators import _outputs
from skmtl.tasks import Task
from skmtl.training import Network


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    Y = pd.DataFrame({"a": 7 * X[:, 0] + 100, "b": np.where(X[:, 1] > 0, "u", "v")})
    return X, Y.mask(rng.random(Y.shape) < 0.2)


def small(kind=MultiTaskNetClassifierRegressor, **params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 4, "n_members": 3, "random_state": 0}
    return kind(**defaults | params)


def alone(est, X):
    """What each member of a fitted net says: the net with that member in the place of all."""
    network, said = est.net_.module_, []
    for member in range(est.n_members_):
        one = copy.deepcopy(est)
        state = {
            name: torch.cat([tensor.chunk(est.n_members_)[member]] * est.n_members_)
            for name, tensor in network.state_dict().items()
        }
        one.net_.module_.load_state_dict(state)
        said.append([output.values for output in one.predict_outputs(X)])
    return said


def test_the_spread_is_the_deviation_of_the_members(table):
    X, Y = table
    est = small().fit(X, Y)
    y, std = est.predict(X, return_std=True)
    pd.testing.assert_frame_equal(y, est.predict(X))
    numbers, classes = (np.stack(values) for values in zip(*alone(est, X), strict=True))
    np.testing.assert_allclose(std["a"], numbers[:, :, 0].std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std["b"], classes.std(axis=0), rtol=1e-5, atol=1e-9)
    assert std["a"].shape == (120,)
    assert (std["a"] > 0).all()
    assert std["b"].shape == est.predict_proba(X)["b"].shape


def test_members_count_as_their_candidate_does(table):
    X, Y = table
    est = small(sharing="auto").fit(X, Y)
    parts = [np.stack([v[0] for v in alone(part, X)]) for part in est.candidates_.values()]
    weights = est.candidate_weights_.loc["a"].to_numpy()
    assert len(parts) == 2
    mean = sum(w * part.mean(0) for w, part in zip(weights, parts, strict=True))
    second = sum(w * (part**2).mean(0) for w, part in zip(weights, parts, strict=True))
    _, std = est.predict(X, return_std=True)
    np.testing.assert_allclose(std["a"], np.sqrt(second - mean**2)[:, 0], rtol=1e-4)


def test_submodels_of_tabm_are_networks_too(table):
    X, Y = table
    _, std = small(trunk="tabm", n_members=1).fit(X, Y).predict(X, return_std=True)
    assert (std["a"] > 0).all()


def test_shapes_by_kind_of_task():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 3))
    Y = pd.DataFrame(rng.integers(0, 2, size=(60, 6)), columns=list("abcdef")).astype(float)
    est = small(
        tasks=[
            Task("v", "regression", columns=["a", "b"]),
            Task("c", "quantile", quantiles=(0.1, 0.5, 0.9)),
            Task("m", "multilabel", columns=["d", "e"]),
            Task("f", "count"),
        ]
    )
    _, std = est.fit(X, Y).predict(X, return_std=True)
    assert {name: values.shape for name, values in std.items()} == {
        "v": (60, 2),
        "c": (60, 3),
        "m": (60, 2),
        "f": (60,),
    }


def test_a_task_without_labels_has_no_spread(table):
    X, Y = table
    with pytest.warns(UserWarning, match="no label"):
        est = small().fit(X, Y.assign(never=np.nan))
    _, std = est.predict(X, return_std=True)
    assert np.isnan(std["never"]).all()
    assert np.isfinite(std["a"]).all()


@pytest.mark.parametrize("n_dims", [1, 2])
def test_a_single_target_has_the_array_alone(n_dims):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] if n_dims == 1 else X[:, :2]
    mean, std = small(MultiTaskNetRegressor).fit(X, y).predict(X, return_std=True)
    if n_dims == 1:
        assert mean.shape == std.shape == (60,)
    else:
        assert [s.shape for s in std.values()] == [(60,), (60,)]
    _, std = small(MultiTaskNetClassifier).fit(X, y > 0).predict(X, return_std=True)
    assert (std.shape if n_dims == 1 else std[1].shape) == (60, 2)


def test_one_network_has_no_spread(table):
    X, Y = table
    est = small(n_members=1).fit(X, Y)
    with pytest.raises(ValueError, match="trained one"):
        est.predict(X, return_std=True)


def test_outputs_do_not_depend_on_the_rows_beside_them(table, monkeypatch):
    X, Y = table
    est = small().fit(X, Y)
    whole = est.predict_outputs(X)
    monkeypatch.setattr("skmtl.training._network.EVALUATION_ROWS", 7)
    for output, other in zip(whole, est.predict_outputs(X), strict=True):
        np.testing.assert_allclose(other.values, output.values, rtol=1e-12)


def test_a_prediction_follows_weights_that_are_changed_by_hand(table):
    """Also a parameter or a layer that is put in the place of another."""
    X, Y = table
    est = small().fit(X, Y)
    before = est.predict(X)["a"].to_numpy()
    heads = est.net_.module_.heads
    with torch.no_grad():
        heads.output.bias += 1.0
    moved = est.predict(X)["a"].to_numpy()
    np.testing.assert_allclose(moved - before, est._scaler.scale_[0], rtol=1e-5)
    heads.output.bias = torch.nn.Parameter(heads.output.bias.detach() - 1.0)
    np.testing.assert_allclose(est.predict(X)["a"], before, rtol=1e-6)
    heads.output = copy.deepcopy(heads.output)
    with torch.no_grad():
        heads.output.bias += 1.0
    np.testing.assert_allclose(est.predict(X)["a"], moved, rtol=1e-6)


def test_hooks_are_called_in_predictions(table):
    X, Y = table
    est = small().fit(X, Y)
    seen = []
    est.net_.module_.body.register_forward_hook(lambda *args: seen.append(len(args)))
    est.predict(X)
    assert seen


@pytest.mark.parametrize(
    "kind", [np.asarray, pd.DataFrame, sparse.csr_array, sparse.coo_array, list]
)
def test_rows_are_encoded_in_pieces(table, monkeypatch, kind):
    X, Y = table
    features = kind(X)
    monkeypatch.setattr(Network, "evaluation_rows", 10)
    est = small().fit(features, Y)
    whole = est.predict_outputs(features)
    sizes, encode = [], _outputs.encode_features
    monkeypatch.setattr(_outputs, "ENCODED_ROWS", 32)
    monkeypatch.setattr(
        _outputs, "encode_features", lambda p, X: (sizes.append(X.shape[0]), encode(p, X))[1]
    )
    for piece, output in zip(est.predict_outputs(features), whole, strict=True):
        np.testing.assert_array_equal(piece.values, output.values)
    assert sizes == [30, 30, 30, 30]
    sizes.clear()
    whole = small(preprocess=StandardScaler(with_mean=False)).fit(features, Y)
    whole.predict(features)
    assert sizes == [120]  # what others do may depend on all rows
