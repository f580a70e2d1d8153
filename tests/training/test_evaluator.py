"""Whatever changes a network, the next prediction is that of the changed network."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from skmtl import MultiTaskNetRegressor
from skmtl.training import EpochHook

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.column_stack([X[:, 0], X[:, 1] * X[:, 2]])


def fitted(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}
    return MultiTaskNetRegressor(**{**defaults, **params}).fit(X, Y)


def first_weight(est):
    return next(est.net_.module_.parameters())


def by_a_fused_optimizer(est):
    parameters = list(est.net_.module_.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    torch.optim.AdamW(parameters, lr=0.1, fused=True).step()


def by_data(est):
    first_weight(est).data.mul_(2)


def by_numpy(est):
    first_weight(est).detach().numpy()[0, 0, 0] += 1


def by_new_data_at_the_old_address(est):
    weight = first_weight(est)
    weight.data = weight.data * 0
    weight.data = weight.data + 1


def by_a_new_parameter(est):
    layer = est.net_.module_.heads.output
    layer.weight = nn.Parameter(layer.weight.detach() + 1)


def by_a_state(est):
    state = est.net_.module_.state_dict()
    est.net_.module_.load_state_dict({name: tensor + 0.5 for name, tensor in state.items()})


def by_a_hook(est):
    est.net_.module_.register_forward_hook(lambda *args: args[-1] + 1)


@pytest.mark.parametrize(
    "change",
    [
        by_a_fused_optimizer,
        by_data,
        by_numpy,
        by_new_data_at_the_old_address,
        by_a_new_parameter,
        by_a_state,
        by_a_hook,
    ],
)
@pytest.mark.parametrize(
    "params",
    [{}, {"n_members": 1, "n_bins": 0}, {"sharing": "mmoe"}, {"hidden_layer_sizes": (4096,)}],
    ids=["few weights", "fewer", "modules", "more than are compared as bytes"],
)
def test_a_changed_network_predicts_what_it_is(change, params):
    est = fitted(**params)
    before = est.predict(X)
    change(est)
    after = est.predict(X)
    assert not np.array_equal(before, after)
    if change is not by_a_hook:
        np.testing.assert_array_equal(after, pickle.loads(pickle.dumps(est)).predict(X))


def test_what_a_callback_sees_of_each_epoch():
    seen = []

    def look(net):
        seen.append(net.module_.evaluate([np.ones((1, 4), np.float32)], 1).clone())
        return False

    params = {"n_members": 1, "n_bins": 0, "early_stopping": False, "preprocess": None}
    est = fitted(**params)
    est.net_.callbacks_.append(("look", EpochHook(look)))
    est.set_params(warm_start=True, max_epochs=4).fit(X, Y)
    assert len(seen) > 2
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


@pytest.mark.parametrize("within", [True, False])
def test_a_model_that_was_loaded_in_inference_mode(within):
    est = fitted()
    expected = est.predict(X)
    with torch.inference_mode():
        loaded = pickle.loads(pickle.dumps(est))
        if within:
            np.testing.assert_array_equal(loaded.predict(X), expected)
    np.testing.assert_array_equal(loaded.predict(X), expected)


@pytest.mark.parametrize("n", [1, 5, 60])
def test_few_rows_and_many_are_computed_alike(n):
    """By torch alone, in float64; from so many rows on by torch, below by NumPy."""
    est = fitted(n_members=3, hidden_layer_sizes=(9, 7))
    network = pickle.loads(pickle.dumps(est.net_.module_)).double().eval()
    x = torch.as_tensor(est.preprocess_.transform(X[:n]))
    with torch.inference_mode():
        expected = network(x)
    found = est.net_.module_.evaluate([x.numpy()], n)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def test_both_ways_are_taken(monkeypatch):
    est = fitted()
    evaluator = est.net_.module_._evaluator()
    assert evaluator._few_rows >= 1
    x = torch.randn(2, 4, dtype=torch.float64)
    few = evaluator(x)
    evaluator._few_rows = 0
    torch.testing.assert_close(evaluator(x), few, rtol=1e-13, atol=1e-13)
