"""Losses in units of the loss of the best constant."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from skmtl import MultiTaskNetClassifierRegressor

N = 200


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    X = random.normal(size=(N, 4))
    y = X[:, 0] + 0.1 * random.normal(size=N)
    return X, pd.DataFrame({"y": y, "c": np.where(X[:, 1] + X[:, 0] > 0.7, "yes", "no")})


def make(**params):
    defaults = {"hidden_layer_sizes": (16,), "max_epochs": 30, "lr": 1e-2, "batch_size": 32}
    defaults |= {"early_stopping": False, "random_state": 0, "normalize_losses": True}
    return MultiTaskNetClassifierRegressor(**defaults | params)


def test_null_losses_are_those_of_mean_and_class_shares(table):
    X, Y = table
    share = (Y["c"] == "yes").mean()
    est = make(max_epochs=1).fit(X, Y)
    assert est.null_losses_["y"] == pytest.approx(1.0)  # standardised, squared
    expected = log_loss(Y["c"] == "yes", np.full(N, share))
    assert est.null_losses_["c"] == pytest.approx(expected, rel=1e-5)


def test_recorded_losses_are_in_units_of_the_null_losses(table):
    X, Y = table
    params = {"max_epochs": 1, "lr": 1e-30, "batch_size": N}
    raw = make(normalize_losses=False, **params).fit(X, Y)
    est = make(**params).fit(X, Y, X_val=X[:50], y_val=Y[:50])
    for name, null in est.null_losses_.items():
        ratio = est.history_[f"train_loss_{name}"] / raw.history_[f"train_loss_{name}"]
        assert ratio.item() == pytest.approx(1 / null, rel=1e-4)
    raw = make(normalize_losses=False, **params).fit(X, Y, X_val=X[:50], y_val=Y[:50])
    ratio = est.history_["valid_loss_c"] / raw.history_["valid_loss_c"]
    assert ratio.item() == pytest.approx(1 / est.null_losses_["c"], rel=1e-4)
    assert not hasattr(raw, "null_losses_")


def test_losses_of_classes_are_cross_entropies_by_default(table):
    X, Y = table
    Y = Y.assign(n=np.random.default_rng(0).poisson(40, N))
    params = {"max_epochs": 1, "lr": 1e-30, "batch_size": N, "tasks": {"n": "count"}}
    every = make(**params).fit(X, Y)
    est = make(normalize_losses="numbers", **params).fit(X, Y)
    assert MultiTaskNetClassifierRegressor().normalize_losses == "numbers"
    assert est.null_losses_ == every.null_losses_
    ours, theirs = est.history_.iloc[0], every.history_.iloc[0]
    for name in ("y", "n"):
        assert ours[f"train_loss_{name}"] == theirs[f"train_loss_{name}"]
    in_nats = theirs["train_loss_c"] * every.null_losses_["c"]
    assert ours["train_loss_c"] == pytest.approx(in_nats, rel=1e-5)


def test_the_score_that_stops_is_the_same_whatever_is_divided(table):
    X, Y = table
    params = {"max_epochs": 1, "lr": 1e-30, "early_stopping": True}
    scores = [
        make(normalize_losses=which, **params).fit(X, Y).history_["valid_score"].item()
        for which in (True, "numbers", False)
    ]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_class_that_stands_alone_harms_no_other_task(table, early_stopping):
    X, Y = table
    Y = Y.assign(c=pd.Categorical(["no"] * N, categories=["no", "yes"]))
    alone = make(early_stopping=early_stopping).fit(X, Y[["y"]]).score(X, Y[["y"]])
    est = make(early_stopping=early_stopping).fit(X, Y)
    residual = (est.predict(X)["y"] - Y["y"]).var() / Y["y"].var()
    assert 1 - residual > alone - 0.03


def test_a_task_whose_labels_were_alike_is_measured_again(table):
    X, Y = table
    order = np.argsort(Y["c"].to_numpy(), kind="stable")  # the first rows are all "no"
    X, Y = X[order], Y.iloc[order]
    classes = {"c": ["no", "yes"]}
    est = make().partial_fit(X[:60], Y[:60], classes=classes)
    first = dict(est.null_losses_)
    assert first["c"] < 1e-4
    est.partial_fit(X[60:], Y[60:])
    share = (Y["c"][60:] == "yes").mean()
    expected = log_loss(Y["c"][60:] == "yes", np.full(N - 60, share))
    assert est.null_losses_["c"] == pytest.approx(expected, rel=1e-5)
    assert est.null_losses_["y"] == first["y"]
    for _ in range(30):
        est.partial_fit(X, Y)
    assert est.score(X, Y) > 0.6


def test_a_number_that_was_constant_gets_its_scale_later(table):
    X, Y = table
    Y = Y.assign(y=1000 * Y["y"])
    start = Y[:40].assign(y=5.0)
    tasks = {"y": "regression", "c": "binary"}
    est = make(tasks=tasks).partial_fit(X[:40], start, classes={"c": ["no", "yes"]})
    assert est.predict(X)["y"].abs().max() < 50  # in units of 1, around 5
    est.partial_fit(X[:40], start)
    for _ in range(40):
        est.partial_fit(X, Y)
    residual = (est.predict(X)["y"] - Y["y"]).var() / Y["y"].var()
    assert residual < 0.2


def test_a_warm_start_keeps_the_units(table):
    X, Y = table
    est = make(warm_start=True, max_epochs=2).fit(X, Y)
    known = dict(est.null_losses_)
    est.fit(X, Y.assign(c=np.where(np.arange(N) < 5, "yes", "no")))
    assert est.null_losses_ == known


def test_the_sum_of_losses_is_recorded_where_weights_change(table):
    X, Y = table
    for method in ("stch", "log_sum", "mgda", "uncertainty"):
        history = make(loss_weights=method, max_epochs=7).fit(X, Y).history_
        by_task = history[["train_loss_y", "train_loss_c"]].sum(axis=1)
        np.testing.assert_allclose(history["train_loss"], by_task, rtol=1e-5)
    history = make(loss_weights={"y": 3, "c": 1}, max_epochs=2).fit(X, Y).history_
    weighted = 3 * history["train_loss_y"] + history["train_loss_c"]
    np.testing.assert_allclose(history["train_loss"], weighted, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # judged by noise
def test_early_stopping_takes_back_what_the_weighting_has_learned(table):
    X, Y = table
    params = {"loss_weights": "uncertainty", "lr": 0.05, "max_epochs": 60}
    new = np.random.default_rng(1).normal(size=(60, 4))
    noisy = Y.sample(60, random_state=1, replace=True)
    val = {"X_val": new, "y_val": noisy}
    est = make(early_stopping=True, n_iter_no_change=5, **params).fit(X, Y, **val)
    assert 0 < est.best_epoch_ < est.n_iter_
    short = make(**params | {"max_epochs": est.best_epoch_}).fit(X, Y, **val)
    for ours, theirs in zip(
        est.net_.criterion_.state_dict().values(),
        short.net_.criterion_.state_dict().values(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
