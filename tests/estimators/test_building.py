"""The estimator's parameters as network and net."""

import numpy as np
import pytest
import torch

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.estimators import _fitting
from skmtl.estimators._batch_size import batch_size_for
from skmtl.estimators._building import MOST_BINS, choose_device, resolve_trunk
from skmtl.layers import bin_edges
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


@pytest.mark.parametrize("dropout", [0, np.float64(0.0)])
def test_a_default_may_be_a_number_of_another_type(dropout):
    est = MultiTaskNetClassifierRegressor(trunk=MLP((3,)), dropout=dropout)
    assert repr(resolve_trunk(est)) == repr(MLP((3,)))


def test_devices(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"torch finds no CUDA device. Use device='auto'"):
        choose_device("cuda")


def bins_of(X, **params):
    """Columns that the network reads beside the numbers themselves."""
    est = MultiTaskNetRegressor(max_epochs=1, hidden_layer_sizes=(4,), random_state=0, **params)
    encoding = est.fit(X, X[:, :1]).net_.module_.encoding
    return 0 if encoding is None else encoding.out_features - X.shape[1]


def test_bins_by_their_number_not_by_that_of_the_columns():
    """Hundreds of counts that are 0 as a rule have few bins; as many of many values have too many."""
    random = np.random.default_rng(0)
    numbers, counts = random.normal(size=(60, 520)), random.poisson(0.3, size=(60, 600)) * 1.0
    assert bins_of(numbers[:, :5]) == 5 * 8
    assert bins_of(numbers) == 0
    assert bins_of(numbers, n_bins=8) == 520 * 8 > MOST_BINS
    assert 600 < bins_of(counts) <= MOST_BINS
    assert bins_of(counts[:, :5], n_bins=0) == 0


def test_many_numbers_are_binned_by_fewer_rows(monkeypatch):
    monkeypatch.setattr(_fitting, "SAMPLED_ENTRIES", 300)
    monkeypatch.setattr(_fitting, "LEAST_SAMPLED", 20)
    X = np.random.default_rng(0).normal(size=(100, 4))
    seen = []

    def edges(numbers, *args):
        seen.append(len(numbers))
        return bin_edges(numbers, *args)

    monkeypatch.setattr(_fitting, "bin_edges", edges)
    for width in (1, 4):
        bins_of(X[:, :width])
    bins_of(np.tile(X, (1, 8)))
    assert seen == [100, 75, 20]
