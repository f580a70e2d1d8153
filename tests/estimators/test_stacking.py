import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import KFold
from skorch.callbacks import Callback
from torch import nn

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._preparing import Given, Memo
from skmtl.estimators._stacking import Fit, Fits
from skmtl.penalties import L2
from skmtl.sharing import Soft
from skmtl.training import DivergedError, WatchLosses
from skmtl.trunks import ResNet, TabM

BASE = {
    "dtype": "float64",
    "random_state": 0,
    "hidden_layer_sizes": (8, 8),
    "max_epochs": 6,
    "n_members": 1,
    "early_stopping": False,
}
STOPS = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 12}
RATES = [{"lr": 1e-3}, {"lr": 3e-2, "weight_decay": 0.1}]


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(0)
    n = 91  # folds of 60 and 61 rows
    X = pd.DataFrame(draw.normal(size=(n, 4)), columns=list("abcd"))
    X["e"] = np.where(draw.random(n) < 0.5, "u", "v")
    Y = pd.DataFrame(
        {"number": X.a + 0.1 * draw.normal(size=n), "two": np.where(X.b > 0, "x", "y")}
    )
    Y["three"] = np.digitize(X.c, [-0.5, 0.5]).astype(str)
    Y.loc[draw.random(n) < 0.3, "number"] = np.nan
    Y.loc[draw.random(n) < 0.2, "three"] = None
    return X, Y


def made(*candidates):
    return [{**BASE, **candidate} for candidate in candidates]


def crossed(values, **fixed):
    return made(*({**rate, **value, **fixed} for value in values for rate in RATES))


def waiting(candidates, X, Y, n_splits=3):
    """Return the fits of candidates on splits."""
    splits = list(KFold(n_splits, shuffle=True, random_state=0).split(X))
    memos = [Memo() for _ in splits]
    return [
        Fit(MultiTaskNetClassifierRegressor(**params), Given(X.iloc[rows], Y.iloc[rows]), memo)
        for params in candidates
        for (rows, _), memo in zip(splits, memos, strict=True)
    ]


def fitted(candidates, X, Y, n_splits=3, **options):
    """Fit candidates on splits, all at once."""
    fits = waiting(candidates, X, Y, n_splits)
    running = Fits(fits, **options)
    groups = running.groups()
    list(running.rounds())
    return fits, groups


def assert_as_alone(fit, X):
    """The same history and the same predictions as the estimator's own fit."""
    if fit.error is not None:
        raise fit.error
    alone = clone(fit.estimator).fit(fit.given.X, fit.given.y)
    pd.testing.assert_frame_equal(fit.estimator.history_, alone.history_, rtol=1e-8)
    assert fit.estimator.best_epoch_ == alone.best_epoch_
    for ours, theirs in zip(
        fit.estimator.predict_outputs(X), alone.predict_outputs(X), strict=True
    ):
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-9, atol=1e-11)


LOSSES = ["uncertainty", "dwa", "famo", "random", "stch", "imtl_l"]
SETS = {
    "fixed weights": crossed([{"loss_weights": w} for w in (None, {"two": 3.0}, [1, 2, 3])]),
    "weights from losses": crossed([{"loss_weights": w} for w in (None, *LOSSES)]),
    "weights from gradients": crossed([{"loss_weights": w} for w in ("mgda", "gradnorm")]),
    "gradients of parameters": crossed(
        [{"loss_weights": "cagrad", "sharing": s} for s in ("mmoe", "cross_stitch")]
    ),
    "seeds": made(*({"random_state": seed} for seed in range(3))),
    "epochs": made({"max_epochs": 2}, {"max_epochs": 5}),
    "early stopping": crossed([{"loss_weights": w} for w in (None, "uncertainty", "dwa")], **STOPS),
    "members over folds": crossed([{"n_members": 4}, {"n_members": 4, "dropout": 0.1}], **STOPS),
    "averages": crossed([{"ema_decay": 0.5}], **STOPS),
    "dropout": made({"dropout": 0.1}, {"dropout": 0.4}, {"dropout": 0.0}),
    "penalties": crossed([{"penalty": L2(s, part="heads")} for s in (1e-3, 1e-1)]),
    "penalties of losses": crossed([{"penalty": "task_relations"}]),
    "class weights": made({}, {"class_weight": "balanced"}, {"normalize_losses": False}),
    "batches": made(
        {"batch_size": -1},
        {"batch_size": -1, "lr": 0.1},
        {"batch_size": 24},
        {"batch_size": 24, "lr": 0.1},
    ),
    "sharing": crossed(
        [{"sharing": s} for s in ("independent", "mmoe", "ple", Soft(strength=0.1))]
    ),
    "independent, stopping": crossed([{"sharing": "independent"}], **STOPS),
    "trunks": crossed([{"trunk": ResNet()}, {"trunk": TabM()}], hidden_layer_sizes=(128, 128)),
    "several nets": crossed([{"preset": "best"}], **{**STOPS, "n_members": 2}),
}


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # some learn nothing
@pytest.mark.parametrize("name", SETS)
def test_every_fit_is_the_one_that_it_is_alone(table, name):
    X, Y = table
    fits, groups = fitted(SETS[name], X, Y)
    assert {group.why_single for group in groups} <= {None}
    for fit in fits:
        assert_as_alone(fit, X)


def test_a_stack_is_cut_to_a_memory_budget(table):
    X, Y = table
    _, (whole,) = fitted(made(*({"lr": lr} for lr in (1e-3, 2e-3, 3e-3, 4e-3))), X, Y)
    budget = whole.n_bytes / 3
    fits, groups = fitted(
        made(*({"lr": lr} for lr in (1e-3, 2e-3, 3e-3, 4e-3))), X, Y, max_memory=budget
    )
    assert [len(group.trainings) for group in groups] == [4, 4, 4]
    assert all(group.n_bytes <= budget for group in groups)
    assert_as_alone(fits[5], X)


class Silent(Callback):
    pass


def body():
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU())


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"optimizer": "sgd"}, "optimizer='sgd'"),
        ({"callbacks": [Silent()]}, "callbacks"),
        ({"net_params": {"iterator_train__batch_size": 8}}, "net_params"),
        ({"loss_weights": "pcgrad"}, "loss_weights='pcgrad'"),
        ({"trunk": body, "hidden_layer_sizes": (128, 128)}, "trunk="),
    ],
)
def test_what_cannot_be_stacked_is_fitted_by_itself_and_says_why(table, params, why):
    X, Y = table
    fits, groups = fitted(made({**params, "lr": 1e-3}, {**params, "lr": 1e-2}), X, Y)
    assert len(groups) == len(fits)
    assert all(group.why_single.startswith(why) for group in groups)
    assert_as_alone(fits[0], X)


def test_a_net_without_its_like_is_fitted_by_itself(table):
    X, Y = table
    _, groups = fitted(made({}), X, Y, n_splits=2)
    assert [group.why_single for group in groups] == [None]
    X, Y = X.iloc[:40], Y.iloc[:40]
    fits = [Fit(MultiTaskNetClassifierRegressor(**BASE), Given(X, Y), Memo())]
    (group,) = Fits(fits).groups()
    assert group.why_single == "nothing to stack with"


def test_errors_belong_to_their_fits(table):
    X, Y = table
    candidates = made({"lr": -1.0}, {"lr": 1e-3}, {"lr": 1e300}, {"sharing": "hadr"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        fits, _ = fitted(candidates, X, Y, n_splits=2)
    kinds = [type(fit.error) for fit in fits[::2]]
    assert kinds == [ValueError, type(None), DivergedError, ValueError]
    assert "did you mean" in str(fits[-1].error).lower()
    assert_as_alone(fits[2], X)


def test_a_divergence_goes_back_to_the_best_weights(table, monkeypatch):
    X, Y = table
    watch = WatchLosses.on_epoch_end

    def watch_and_explode(self, net, **kwargs):
        watch(self, net, **kwargs)
        if net.lr == 3e-2 and len(net.history) == 2:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(torch.inf)

    monkeypatch.setattr(WatchLosses, "on_epoch_end", watch_and_explode)
    fits, groups = fitted(crossed([{}], **STOPS), X, Y, n_splits=2)
    assert [group.why_single for group in groups] == [None]
    assert [fit.error is None for fit in fits] == [True, True, False, False]
    assert_as_alone(fits[0], X)
    for fit in fits[2:]:
        alone = clone(fit.estimator)
        with pytest.raises(DivergedError) as raised:
            alone.fit(fit.given.X, fit.given.y)
        assert str(fit.error) == str(raised.value)
        assert "holds the best weights, of epoch" in str(fit.error)
        ours, theirs = fit.estimator.predict(X)["number"], alone.predict(X)["number"]
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_fit_from_a_stack_goes_on_as_one_from_alone(table):
    X, Y = table
    fits, _ = fitted(made({"loss_weights": "uncertainty"}, {"loss_weights": "dwa"}), X, Y)
    for fit in fits[::3]:
        alone = clone(fit.estimator)
        alone.fit(fit.given.X, fit.given.y)
        for _ in range(2):
            alone.partial_fit(fit.given.X, fit.given.y)
            fit.estimator.partial_fit(fit.given.X, fit.given.y)
        for ours, theirs in zip(
            fit.estimator.predict_outputs(X), alone.predict_outputs(X), strict=True
        ):
            np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")
@pytest.mark.parametrize("least_done", [1 / 8, 1.0])
@pytest.mark.parametrize("loss_weights", ["dwa", "excess_mtl", "famo", "gradnorm", "stch"])
def test_a_fit_that_stops_before_others_keeps_what_its_weighting_knows(
    table, loss_weights, least_done, monkeypatch
):
    """Whether it leaves the stack at once or when more are done."""
    monkeypatch.setattr("skmtl.training._stack.LEAST_DONE", least_done)
    X, Y = table
    options = {"loss_weights": loss_weights, "early_stopping": True, "n_iter_no_change": 1}
    fits, groups = fitted(
        made(*({**options, "lr": lr, "max_epochs": 8} for lr in (0.3, 0.1, 1e-3))), X, Y
    )
    assert len(groups) == 1
    assert len({fit.estimator.n_iter_ for fit in fits}) > 1
    for fit in fits:
        alone = clone(fit.estimator).fit(fit.given.X, fit.given.y)
        ours, theirs = (
            est.net_.criterion_.weighting.state_dict() for est in (fit.estimator, alone)
        )
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            np.testing.assert_allclose(value, theirs[name], rtol=1e-9, err_msg=name)


def test_candidates_read_the_same_table(table):
    X, Y = table
    fits = waiting(made({"lr": 1e-3}, {"lr": 1e-2}, {"class_weight": "balanced"}), X, Y)
    Fits(fits)
    tables = [fit.training.train.y for fit in fits]
    assert tables[0] is tables[3]
    assert tables[0] is not tables[1]  # another split
    assert tables[0] is not tables[6]  # other weights
