"""The estimator's parameters as network and net."""

import pytest
import torch

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._building import batch_size_for, choose_device, resolve_trunk
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
    with pytest.raises(ValueError, match=r"torch finds no CUDA device. Use device='auto'"):
        choose_device("cuda")
