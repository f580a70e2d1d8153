"""Many threads at once: answers are those of one thread, and nothing global is left changed."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torchjd.aggregation import Random

from benchmarks.load import Request, ask_from_threads, bits
from skmtl import MultiTaskNetClassifierRegressor
from skmtl.trunks import MLP

TASKS = {"visits": "count", "delay": "quantile", "grade": "ordinal"}


@pytest.fixture(scope="module")
def table():
    """Words, gaps and numbers; six kinds of tasks with missing labels."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(96, 4)), columns=list("abcd"))
    Y = pd.DataFrame(
        {
            "price": 50 + 10 * X["a"],
            "visits": rng.poisson(np.exp(X["b"])).astype(float),
            "delay": X["c"] + rng.normal(size=96),
            "grade": np.digitize(X["d"], [-0.5, 0.5]).astype(float),
            "sold": np.where(X["a"] > 0, "yes", "no"),
            "kind": rng.choice(["u", "v", "w"], 96),
        }
    )
    X["place"] = rng.choice(["north", "south"], 96)
    return X.mask(rng.random(X.shape) < 0.05), Y.mask(rng.random(Y.shape) < 0.1)


@pytest.fixture(autouse=True)
def nothing_global_changes():
    """Threads are switched very often; generators and torch's threads stay as they were."""
    interval, n_threads = sys.getswitchinterval(), torch.get_num_threads()
    torch.set_num_threads(3)  # which no fit asks for, so that a wrong number shows
    sys.setswitchinterval(1e-5)
    drawn = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    yield
    sys.setswitchinterval(interval)
    with ThreadPoolExecutor(1) as pool:
        found = torch.get_num_threads(), pool.submit(torch.get_num_threads).result()
    torch.set_num_threads(n_threads)
    assert found == (3, 3)
    assert torch.equal(torch.get_rng_state(), drawn[0])
    np.testing.assert_array_equal(np.random.get_state()[1], drawn[1])  # noqa: NPY002


def make(**params):
    small = {} if "trunk" in params else {"hidden_layer_sizes": (8,)}
    defaults = {"max_epochs": 2, "random_state": 0}
    return MultiTaskNetClassifierRegressor(TASKS, **{**small, **defaults, **params})


def requests_to(X, *methods):
    sizes = [1, 7, 30, 96]
    return [Request(method, X.iloc[:n]) for n in sizes for method in methods]


def module():
    """A user's module: its first weights come from torch's global generator."""
    return nn.Sequential(nn.LazyLinear(6), nn.ReLU())


@pytest.mark.parametrize(
    ("params", "n"),
    [
        ({}, 60),
        ({"dtype": "float64"}, 10),
        ({"sharing": "auto", "calibration": "temperature"}, 10),
        ({"sharing": "low_rank", "trunk": module, "n_members": 2}, 10),
        ({"trunk": MLP((4,), num_embeddings="periodic", cat_embeddings=2)}, 10),
    ],
    ids=["default", "float64", "candidates", "module", "embeddings"],
)
def test_predictions_are_those_of_one_thread(table, params, n):
    X, Y = table
    est = make(**params).fit(X, Y)
    requests = requests_to(X, "predict", "predict_proba", "predict_interval", "predict_set")
    expected = [request.answer(est) for request in requests]
    est = clone(est).fit(X, Y)  # no copy for evaluation yet, which threads then make at once
    tally = ask_from_threads(est, requests, expected, 8, n)
    assert (tally.calls, tally.differences, dict(tally.errors)) == (8 * n, 0, {})


def test_predictions_while_others_fit(table):
    """Another estimator and clones of the one that predicts are fitted meanwhile."""
    X, Y = table
    est, other = make().fit(X, Y), make(sharing="mmoe", loss_weights="cagrad", n_members=1)
    requests = requests_to(X, "predict", "predict_proba", "predict_interval")
    expected = [request.answer(est) for request in requests]
    fitted = {e: bits(clone(e).fit(X, Y).predict(X)) for e in (est, other)}
    stop, found = threading.Event(), []

    def fit(original):
        while not stop.is_set() or len(found) < 2:
            found.append(bits(clone(original).fit(X, Y).predict(X)) == fitted[original])

    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(fit, original) for original in (est, other)]
        tally = ask_from_threads(est, requests, expected, 8, 15)
        stop.set()
        for done in fits:
            done.result()
    assert (tally.calls, tally.differences, dict(tally.errors)) == (120, 0, {})
    assert all(found)


def test_one_estimator_is_cloned_and_fitted_by_many(table):
    X, Y = table
    est = make()
    expected = bits(est.fit(X, Y).predict(X))
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: bits(clone(est).fit(X, Y).predict(X)), range(8))
    assert all(bits == expected for bits in found)


@pytest.mark.parametrize(
    "params", [{"loss_weights": Random()}, {"trunk": module}], ids=["torchjd", "module"]
)
def test_fits_that_borrow_the_global_generator_wait_for_each_other(table, params):
    X, Y = table
    shared = {"n_members": 1, "early_stopping": False, **params}

    def fit(seed):
        return bits(make(random_state=seed, **shared).fit(X, Y).predict(X))

    expected = [fit(seed) for seed in range(12)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fit, range(12))) == expected


def test_an_error_in_one_thread_is_none_of_the_others(table):
    X, Y = table
    est = make().fit(X, Y)
    expected = bits(est.predict(X))

    def work(i):
        if i % 2:
            with pytest.raises(ValueError, match="feature"):
                est.predict(X[["a", "b"]])
            return True
        return bits(est.predict(X)) == expected

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
