import gc
import weakref

import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning

from skmtl import MultiTaskNetRegressor
from skmtl.estimators._preparing import Memo
from skmtl.model_selection import MultiTaskGridSearchCV
from skmtl.training import memory_advice, train_stacked
from skmtl.training._epochs import train_epoch

X = np.random.default_rng(0).normal(size=(60, 3))
WORDS = "CUDA out of memory. Tried to allocate 20.00 GiB."


def test_advice_follows_the_words_of_torch():
    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate .* Buy some\."):
        run_out(memory_advice("Buy some."), torch.OutOfMemoryError(f"{WORDS}\nmore words"))
    with pytest.raises(torch.OutOfMemoryError, match=r"can't allocate memory.* Buy some\."):
        run_out(
            memory_advice("Buy some."), RuntimeError("DefaultCPUAllocator: can't allocate memory")
        )


def run_out(context, error):
    with context:
        raise error


def test_other_errors_stay():
    with pytest.raises(RuntimeError, match="shapes") as caught:
        run_out(memory_advice("Buy some."), RuntimeError("shapes"))
    assert type(caught.value) is RuntimeError


@pytest.fixture
def held(monkeypatch):
    """Have training fail for want of memory; keep what it held by weak references."""
    seen = []

    def train_epoch(*_):
        large = torch.zeros(1000)
        seen.append(weakref.ref(large))
        raise torch.OutOfMemoryError(WORDS)

    for module in ("_net", "_stack"):
        monkeypatch.setattr(f"skmtl.training.{module}.train_epoch", train_epoch)
    return seen


def test_a_fit_that_runs_out_of_memory_tells_what_to_change_and_lets_go(held, monkeypatch):
    est = MultiTaskNetRegressor(batch_size=32, n_members=2)
    message = r"20.00 GiB.*`batch_size` \(now 32\).*`n_members` \(now 2\)"
    with pytest.raises(torch.OutOfMemoryError, match=message) as caught:
        est.fit(X, X[:, :2])
    assert not hasattr(est, "net_")
    gc.collect()
    assert held[0]() is None
    assert caught.value.__traceback__ is not None  # somebody still looks at it
    monkeypatch.undo()
    assert np.isfinite(est.fit(X, X[:, :2]).predict(X)).all()


def test_a_search_that_runs_out_of_memory_tells_too(held):
    """Of the stack in a warning; then of the fits, each by itself, in an error."""
    est = MultiTaskNetRegressor(max_epochs=1)
    search = MultiTaskGridSearchCV(est, {"lr": [0.1, 0.2]}, cv=2, error_score="raise")
    with (
        pytest.warns(
            UserWarning, match="lower `max_memory`, .* nets of the stack are fitted one by"
        ),
        pytest.raises(torch.OutOfMemoryError, match="smaller `batch_size`"),
    ):
        search.fit(X, X[:, :2])
    gc.collect()
    assert len(held) == 5
    assert all(reference() is None for reference in held)


def test_the_batch_size_is_halved_where_that_is_asked_for(monkeypatch):
    """And the result is that of a fit with the size that suffices."""
    seen = []

    def train_small(module, criterion, optimizer, batches, *more):
        batches = list(batches)
        seen.append(len(batches[0].x))
        if seen[-1] > 16:
            raise torch.OutOfMemoryError(WORDS)
        train_epoch(module, criterion, optimizer, batches, *more)

    monkeypatch.setattr("skmtl.training._net.train_epoch", train_small)
    params = {"max_epochs": 2, "random_state": 0, "n_members": 1, "early_stopping": False}
    with pytest.warns(UserWarning, match=r"`batch_size = 16` in place of 32"):
        est = MultiTaskNetRegressor(**params, batch_size="halving").fit(X, X[:, :2])
    small = MultiTaskNetRegressor(**params, batch_size=16).fit(X, X[:, :2])
    np.testing.assert_array_equal(est.predict(X), small.predict(X))
    with pytest.raises(torch.OutOfMemoryError):
        MultiTaskNetRegressor(**params).fit(X, X[:, :2])


def test_halving_comes_to_an_end(held):
    est = MultiTaskNetRegressor(batch_size="halving")
    with (
        pytest.warns(UserWarning, match="batch_size") as caught,
        pytest.raises(torch.OutOfMemoryError),
    ):
        est.fit(X, X[:, :2])
    assert len(caught) == len(held) - 1 == 5
    assert not [name for name in vars(est) if name.endswith("_") or name == "_n_halved"]


def test_halving_lets_go_of_what_did_not_fit(monkeypatch):
    seen, alive = [], []

    def train_epoch(module, *_):
        gc.collect()
        alive.append(sum(reference() is not None for reference in seen))
        seen.append(weakref.ref(module))
        raise torch.OutOfMemoryError(WORDS)

    monkeypatch.setattr("skmtl.training._net.train_epoch", train_epoch)
    with pytest.warns(UserWarning, match="batch_size"), pytest.raises(torch.OutOfMemoryError):
        MultiTaskNetRegressor(batch_size="halving").fit(X, X[:, :2])
    assert alive == [0] * 6


def n_alive(kind):
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_a_fit_that_fails_holds_no_tables_of_a_search():
    before, seen = n_alive(Memo), []

    def score(estimator, X, y):
        seen.append(n_alive(Memo) - before)
        return estimator.score(X, y)

    est = MultiTaskNetRegressor(max_epochs=2, n_members=1, early_stopping=False)
    grid = {"lr": [1e-3, 1e30]}  # the latter diverges
    search = MultiTaskGridSearchCV(est, grid, cv=3, scoring=score, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="_train_stack"):  # the traceback's text is whole
        search.fit(X, X[:, :2])
    assert seen == [0] * 3


def test_splits_beyond_the_memory_are_let_go_one_by_one(monkeypatch):
    before, seen = n_alive(Memo), []

    def counted(fits):
        seen.append(n_alive(Memo) - before)
        train_stacked(fits)

    monkeypatch.setattr("skmtl.estimators._stacking.train_stacked", counted)
    est = MultiTaskNetRegressor(
        hidden_layer_sizes=(2,), preprocess=None, n_bins=0, max_epochs=2, n_members=1,
        early_stopping=False, batch_size=16,
    )  # fmt: skip
    search = MultiTaskGridSearchCV(est, {"lr": [0.1, 0.2]}, cv=4, max_memory=9_000, refit=False)
    search.fit(X, X[:, :2])
    assert seen == [1] * 4
