import threading

import numpy as np
import pytest
import torch

from skmtl import MultiTaskNetRegressor
from skmtl.model_selection import MultiTaskGridSearchCV
from skmtl.training import DivergedError, deterministic_algorithms
from skmtl.training._epochs import train_epoch

X = np.random.default_rng(0).normal(size=(60, 3))


def enabled():
    return torch.are_deterministic_algorithms_enabled()


def test_set_for_a_while():
    with deterministic_algorithms(False):
        assert not enabled()
    with deterministic_algorithms(True):
        assert enabled()
    assert not enabled()


def test_what_was_set_before_stays():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic_algorithms(True):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_last_of_several_puts_it_back():
    began, ends = threading.Event(), threading.Event()

    def other():
        with deterministic_algorithms(True):
            began.set()
            ends.wait(10)

    thread = threading.Thread(target=other)
    with deterministic_algorithms(True):
        thread.start()
        assert began.wait(10)
    assert enabled()
    ends.set()
    thread.join()
    assert not enabled()


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_fit_asks_for_it(deterministic, monkeypatch):
    seen = []
    est = MultiTaskNetRegressor(
        hidden_layer_sizes=(4,), max_epochs=2, random_state=0, deterministic=deterministic
    )

    def train_and_look(*args):
        seen.append(enabled())
        train_epoch(*args)

    for module in ("_net", "_stack"):
        monkeypatch.setattr(f"skmtl.training.{module}.train_epoch", train_and_look)
    first = est.fit(X, X[:, :2]).predict(X)
    MultiTaskGridSearchCV(est, {"lr": [0.01, 0.02]}, cv=2).fit(X, X[:, :2])
    assert set(seen) == {deterministic}
    assert not enabled()
    est.set_params(deterministic=False)
    np.testing.assert_array_equal(est.fit(X, X[:, :2]).predict(X), first)


def test_an_error_puts_it_back():
    est = MultiTaskNetRegressor(lr=1e30, max_epochs=5, deterministic=True, early_stopping=False)
    with pytest.raises(DivergedError):
        est.fit(X, X[:, :2])
    assert not enabled()
