import numpy as np
import pytest
import torch
from torch import nn

from skmtl import MultiTaskNetRegressor
from skmtl.training import EpochHook
from skmtl.training._average import WeightAverage


def test_averages_of_four_steps():
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(1.0)
    average = WeightAverage(module, 0.3)
    expected = 1.0
    for step, value in enumerate([2.0, 5.0, -1.0, 0.5]):
        with average.raw():
            module.weight.data.fill_(value)
            average.update()
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert module.weight.item() == pytest.approx(expected)
    with average.raw():
        assert module.weight.item() == 0.5


def test_frozen_weights_are_left_alone():
    module = nn.Linear(1, 1)
    module.bias.requires_grad_(False)
    before = module.bias.data.data_ptr()
    with WeightAverage(module, 0.5).raw():
        assert module.bias.data.data_ptr() == before


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 3))
    return X, X @ random.normal(size=(3, 2)) + random.normal(size=(120, 2))


def make(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 5, "random_state": 0, "lr": 1e-2}
    return MultiTaskNetRegressor(**defaults | {"early_stopping": False} | params)


def test_a_fit_predicts_with_the_averages_of_its_steps(table):
    """As many epochs without averages, of one step each, averaged by hand."""
    X, Y = table
    weights = []

    def note(net):
        weights.append([p.detach().clone() for p in net.module_.parameters()])
        return False

    hook = EpochHook(note)
    start = [
        p.detach().clone()
        for p in make(lr=1e-300, batch_size=-1).fit(X, Y).net_.module_.parameters()
    ]
    make(batch_size=-1, callbacks=[hook]).fit(X, Y)
    expected = start
    for step, moved in enumerate(weights):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = [a.lerp(b, 1 - decay) for a, b in zip(expected, moved, strict=True)]
    est = make(batch_size=-1, ema_decay=0.9).fit(X, Y)
    for found, wanted in zip(est.net_.module_.parameters(), expected, strict=True):
        torch.testing.assert_close(found.detach(), wanted, rtol=1e-5, atol=1e-6)


def test_skorchs_own_loop_averages_as_well(table):
    from skorch.callbacks import Callback

    class Listener(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    X, Y = table
    fast = make(ema_decay=0.9).fit(X, Y)
    slow = make(ema_decay=0.9, callbacks=[Listener()]).fit(X, Y)
    np.testing.assert_allclose(slow.predict(X), fast.predict(X), rtol=1e-4, atol=1e-5)


def test_a_warm_start_goes_on_from_the_averages(table):
    X, Y = table
    est = make(ema_decay=0.9, warm_start=True).fit(X, Y)
    before = est.predict(X)
    est.set_params(max_epochs=1, lr=1e-300).fit(X, Y)
    np.testing.assert_allclose(est.predict(X), before, rtol=1e-5, atol=1e-6)


def test_no_average_that_never_moves():
    with pytest.raises(ValueError, match="`ema_decay` must be 'auto' or a number of at least 0"):
        make(ema_decay=1.0).fit(np.zeros((4, 1)), np.zeros((4, 1)))
