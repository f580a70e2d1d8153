"""Counts, quantiles, ordered classes, labels in several columns, and other losses, in a fit."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor, QuantileRegressor
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import LRScheduler

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
    Task,
    TaskScoring,
)
from skmtl.estimators._predicting import has_quantile_task, quantiles_of
from skmtl.model_selection import TaskStratifiedKFold
from skmtl.tasks import Focal, Huber

TASKS = {
    "visits": "count",
    "grade": "ordinal",
    "delay": Task("delay", "quantile", quantiles=(0.1, 0.5, 0.9)),
    "tags": Task("tags", "multilabel", columns=["a", "b", "c"]),
    "price": Task("price", "regression", loss=Huber(2.0)),
    "size": Task("size", "regression", loss="absolute"),
    "rare": Task("rare", "binary", loss=Focal(gamma=1.0)),
    "colour": Task("colour", "multiclass", loss="focal"),
}


@pytest.fixture(scope="module")
def table():
    """Every kind and loss, with a fifth of the labels missing."""
    rng = np.random.default_rng(0)
    n = 400
    X = rng.normal(size=(n, 5))
    grade = np.digitize(X[:, 1] + 0.4 * rng.normal(size=n), [-1, 0, 1])
    Y = pd.DataFrame(
        {
            "plain": X[:, 0] - X[:, 3] + 0.1 * rng.normal(size=n),
            "visits": rng.poisson(3 * np.exp(0.7 * X[:, 0])),
            "grade": pd.Categorical.from_codes(grade, list("DCBA"), ordered=True),
            "delay": X[:, 2] + np.exp(0.5 * X[:, 3]) * rng.normal(size=n),
            "a": X[:, 0] > 0,
            "price": 30 + 3 * X[:, 2],
            "b": X[:, 1] + 0.5 * rng.normal(size=n) > 0,
            "size": X[:, 1] - X[:, 0],
            "c": X[:, 4] > 1,
            "rare": np.where(X[:, 0] + X[:, 1] > 2, "yes", "no"),
            "colour": np.array(["red", "green", "blue"])[np.digitize(X[:, 3], [-0.5, 0.5])],
        }
    ).astype({"visits": "Int64", "a": "boolean", "b": "boolean", "c": "boolean"})
    return X, Y.mask(rng.random(Y.shape) < 0.2)


@pytest.fixture(scope="module")
def est(table):
    return make().fit(*table)


def make(tasks=TASKS, **params):
    params = {"max_epochs": 80, "lr": 0.01, "random_state": 0, **params}
    return MultiTaskNetClassifierRegressor(tasks, **params)


def test_predictions_have_the_columns_and_types_of_y(table, est):
    X, Y = table
    predicted = est.predict(X)
    assert list(predicted) == list(Y)
    types = {**Y.dtypes.to_dict(), "visits": np.dtype(float)}  # a mean rate is no whole number
    assert predicted.dtypes.to_dict() == types
    assert predicted.notna().all().all()
    assert (predicted["visits"] > 0).all()


def test_probabilities(table, est):
    X, _ = table
    p = est.predict_proba(X)
    assert {name: values.shape[1] for name, values in p.items()} == {
        "grade": 4, "tags": 3, "rare": 2, "colour": 3,
    }  # fmt: skip
    for name in ("grade", "rare", "colour"):
        np.testing.assert_allclose(p[name].sum(axis=1), 1, rtol=1e-5)
    assert est.classes_["grade"].tolist() == list("DCBA")
    likely = est.classes_["grade"][p["grade"].argmax(axis=1)]
    assert (est.predict(X)["grade"].to_numpy() == likely).all()
    tags = est.predict(X)[["a", "b", "c"]].to_numpy(dtype=bool)
    assert (tags == (p["tags"] > 0.5)).all()


def test_it_learns_what_can_be_learned(table, est):
    scores = TaskScoring()(est, *table)
    at_least = {
        "plain": 0.9, "visits": 0.5, "grade": 0.4, "delay": 0.2, "tags": 0.5, "price": 0.9,
        "size": 0.9, "rare": 0.5, "colour": 0.5,
    }  # fmt: skip
    assert {name for name, score in at_least.items() if scores[name] < score} == set()
    assert est.score(*table) == pytest.approx(scores["score"])


def test_quantiles_are_ordered_and_cover_their_share(table, est):
    X, Y = table
    assert has_quantile_task(est)
    assert not has_quantile_task(make())
    levels = quantiles_of(est.predict_outputs(X))
    assert list(levels) == ["delay"]
    assert (np.diff(levels["delay"]) > 0).all()
    np.testing.assert_array_equal(levels["delay"][:, 1], est.predict(X)["delay"])
    keep = Y["delay"].notna()
    below = (Y["delay"].to_numpy()[keep, None] <= levels["delay"][keep]).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.12)


def test_views(table, est):
    X, _ = table
    predicted = est.predict(X)
    for name in ("visits", "delay", "price"):
        np.testing.assert_array_equal(est.task_view(name).predict(X), predicted[name])
    tags = est.task_view("tags")
    assert [list(labels) for labels in tags.classes_] == [[False, True]] * 3
    np.testing.assert_array_equal(tags.predict(X), predicted[["a", "b", "c"]].to_numpy(dtype=bool))
    assert tags.predict_proba(X).shape == (400, 3)
    assert (est.task_view("grade").predict(X) == predicted["grade"].to_numpy()).all()


def test_metrics_of_scikit_learn(table, est):
    X, Y = table
    metrics = {"tags": "roc_auc", "grade": "neg_mean_absolute_error", "delay": "r2"}
    scores = TaskScoring({**metrics, "visits": "neg_mean_poisson_deviance"})(est, X, Y)
    assert scores["tags"] > 0.9
    codes = Y["grade"].cat.codes.to_numpy()
    found = est.predict(X)["grade"].cat.codes.to_numpy()
    expected = -np.abs(codes - found)[codes >= 0].mean()
    assert scores["grade"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="'r2' is for numbers, but task 'tags' is multilabel"):
        TaskScoring({"tags": "r2"})(est, X, Y)


def test_pipeline_and_cross_validation(table):
    X, Y = table
    pipe = make_pipeline(StandardScaler(), make(max_epochs=20))
    cv = TaskStratifiedKFold(3, tasks=TASKS, random_state=0)
    result = cross_validate(pipe, X, Y, cv=cv, scoring=TaskScoring(), error_score="raise")
    assert (result["test_score"] > 0.2).all()
    assert {"test_tags", "test_visits", "test_grade", "test_delay"} <= set(result)


@pytest.mark.parametrize("sharing", ["independent", "chain", "mmoe", "cross_stitch"])
def test_with_sharing_schemes(table, sharing):
    X, Y = table
    assert make(sharing=sharing, max_epochs=40).fit(X, Y).score(X, Y) > 0.2


@pytest.mark.parametrize("params", [{"loss_weights": "uncertainty"}, {"loss_weights": "mgda"}, {"trunk": "tabm"}])  # fmt: skip
def test_with_weightings_and_submodels(table, params):
    X, Y = table
    assert make(max_epochs=40, **params).fit(X, Y).score(X, Y) > 0.2


def test_clone_pickle_and_a_second_fit_are_the_same(table, est):
    X, Y = table
    again = pickle.loads(pickle.dumps(est))
    pd.testing.assert_frame_equal(again.predict(X), est.predict(X))
    assert again.tasks_ == est.tasks_
    twin = clone(est)
    assert repr(twin) == repr(make())
    assert "Task('tags', 'multilabel', columns=['a', 'b', 'c'])" in repr(twin)
    pd.testing.assert_frame_equal(twin.fit(X, Y).predict(X), est.predict(X))


def test_warm_start_and_partial_fit(table):
    X, Y = table
    warm = make(warm_start=True, max_epochs=5, early_stopping=False).fit(X, Y)
    before = warm.score(X, Y)
    warm.set_params(max_epochs=40).fit(X, Y)
    assert warm.score(X, Y) > before
    changed = {**TASKS, "price": Task("price", "regression", loss=Huber(1.0))}
    with pytest.raises(ValueError, match="was built with `tasks"):
        warm.set_params(tasks=changed).fit(X, Y)
    parts = make()
    for _ in range(10):
        parts.partial_fit(X[:200], Y[:200])
        parts.partial_fit(X[200:], Y[200:])
    assert parts.score(X, Y) > 0.1


def test_weights_count_as_repetitions(table):
    X, Y = table
    counts = np.random.default_rng(1).integers(0, 3, len(X))
    params = {"max_epochs": 30, "batch_size": -1, "early_stopping": False, "preprocess": None}
    weighted = make(**params, dtype="float64").fit(X, Y, sample_weight=counts)
    repeated = make(**params, dtype="float64").fit(
        X.repeat(counts, 0), Y.loc[Y.index.repeat(counts)]
    )
    for ours, theirs in zip(weighted.predict_outputs(X), repeated.predict_outputs(X), strict=True):
        # Cells of weight 2 are one cell in the mean over the batch and two in the repeated one,
        # but the weights of a task have a mean of 1: the losses are the same.
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-5, atol=1e-6)


def linear(tasks, X, y, **params):
    """Fit one linear model to all rows at once, in float64."""
    return MultiTaskNetClassifierRegressor(
        tasks, sharing="independent", hidden_layer_sizes=(), batch_size=-1, early_stopping=False,
        preprocess=None, dtype="float64", random_state=0, **params,
    ).fit(X, y)  # fmt: skip


def test_a_linear_count_is_a_poisson_regression():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = rng.poisson(np.exp(0.5 + X @ [0.6, -0.3, 0.1]))
    peer = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000).fit(X, y)
    net = {"optimizer__max_iter": 200, "optimizer__line_search_fn": "strong_wolfe"}
    net |= {"optimizer__tolerance_grad": 1e-12, "optimizer__tolerance_change": 1e-16}
    est = linear("count", X, y, optimizer=torch.optim.LBFGS, lr=1.0, max_epochs=3, net_params=net)
    np.testing.assert_allclose(est.predict(X), peer.predict(X), rtol=1e-3)
    assert est.score(X, y) == pytest.approx(peer.score(X, y))


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_a_linear_quantile_is_a_quantile_regression(level):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(201, 3))  # of an even number the median is not unique
    y = X @ [1, -2, 0.5] + np.exp(0.4 * X[:, 0]) * rng.standard_t(3, size=201)
    peer = QuantileRegressor(quantile=level, alpha=0).fit(X, y).predict(X)
    task = Task("y", "quantile", quantiles=[level])
    falls = [LRScheduler("CosineAnnealingLR", T_max=1000)]  # a kink needs steps that get small
    ours = linear([task], X, y, lr=0.05, max_epochs=1000, callbacks=falls).predict(X)
    np.testing.assert_allclose(ours, peer, atol=1e-2)
    losses = [mean_pinball_loss(y, p, alpha=level) for p in (ours, peer)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("loss", ["huber", "absolute"])
def test_outliers_do_not_move_robust_losses(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    truth = X @ [1, -2, 0.5]
    y = truth + 0.1 * rng.normal(size=300)
    y[rng.random(300) < 0.05] += 300.0
    params = {"hidden_layer_sizes": (), "max_epochs": 200, "early_stopping": False}
    robust = make([Task("y", "regression", loss=loss)], **params).fit(X, y)
    squared = make("regression", **params).fit(X, y)
    errors = [np.abs(est.predict(X) - truth).mean() for est in (robust, squared)]
    assert errors[0] < 0.25
    assert errors[1] > 5


def test_focal_loss_finds_more_of_a_rare_class_than_it_is_sure_of(table):
    X, Y = table
    keep = Y["rare"].notna()
    X, y = X[keep], Y["rare"][keep]
    params = {"hidden_layer_sizes": (), "early_stopping": False, "max_epochs": 150}
    plain, focal = (
        make([Task("rare", "binary", loss=loss)], **params).fit(X, y) for loss in (None, Focal(4.0))
    )
    sure = [np.abs(est.predict_proba(X)[:, 1] - 0.5).mean() for est in (plain, focal)]
    assert sure[1] < sure[0]


def test_arrays_and_one_target():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = (X[:, :2] > 0).astype(int)
    est = make([Task("tags", "multilabel", columns=[0, 1])], max_epochs=5).fit(X, Y)
    assert est.predict(X).shape == (60, 2)
    assert est.predict(X).dtype == Y.dtype
    assert est.predict_proba(X)["tags"].shape == (60, 2)
    delay = make("quantile", max_epochs=5).fit(X, X[:, 0])
    assert delay.predict(X).shape == (60,)
    assert not hasattr(delay, "predict_proba")


def test_kinds_of_the_pure_estimators():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    counts = rng.poisson(2.0, size=60)
    assert MultiTaskNetRegressor("count", max_epochs=2).fit(X, counts).predict(X).min() > 0
    grades = MultiTaskNetClassifier("ordinal", max_epochs=2).fit(X, counts.clip(max=3))
    assert grades.predict_proba(X).shape == (60, 4)
    with pytest.raises(ValueError, match="learns regression tasks only, but task 'y' is declared"):
        MultiTaskNetRegressor("ordinal", max_epochs=2).fit(X, counts)


def test_a_task_without_labels_is_predicted_as_missing(table):
    X, Y = table
    empty = Y.assign(visits=np.nan, delay=np.nan, a=None, b=None, c=None, grade=None)
    with pytest.warns(UserWarning, match="has no label"):
        est = make(max_epochs=2).fit(X, empty)
    assert est.predict(X)[["visits", "delay", "a", "b", "c", "grade"]].isna().all().all()
    assert np.isnan(quantiles_of(est.predict_outputs(X))["delay"]).all()


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # the other is noise
def test_a_count_that_is_always_zero_is_predicted_as_nearly_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    Y = pd.DataFrame({"none": np.zeros(150), "other": rng.poisson(2.0, 150)})
    est = make("count", max_epochs=30).fit(X, Y)
    assert np.isfinite(est.predict(X)).all().all()
    assert set(est.null_losses_) == {"none", "other"}


def test_errors(table):
    X, Y = table
    y = Y.assign(price=Y["price"].where(Y.index != Y["price"].first_valid_index(), -1.0))
    message = "Task 'sales' is a count, but column 'price' holds negative numbers in 1 rows. Mark"
    with pytest.raises(ValueError, match=message):
        make([Task("sales", "count", columns="price")]).fit(X, y)
    with pytest.raises(ValueError, match="'rare' is declared as count, but column 'rare' holds"):
        make({"rare": "count"}).fit(X, Y)
    with pytest.raises(ValueError, match="'t' is declared as multilabel, so its columns must hold"):
        make([Task("t", "multilabel", columns=["a", "colour"])]).fit(X, Y)
    with pytest.raises(ValueError, match="the loss 'huber' is for tasks of kind 'regression'"):
        make([Task("colour", loss="huber")]).fit(X, Y)


def test_on_real_tables(shared_data):
    """Emotions: six labels of 593 songs; wine: ordered grades of which the outer ones are rare."""
    songs = pd.read_csv(shared_data / "emotions.csv.gz")
    train = (songs.pop("split") == "train").to_numpy()
    labels = list(songs.columns[-6:])
    assert songs[labels].isin([0, 1]).all().all()
    X, Y = songs.drop(columns=labels), songs[labels]
    moods = make([Task("moods", "multilabel", columns=labels)], lr=1e-3).fit(X[train], Y[train])
    assert TaskScoring({"moods": "roc_auc"})(moods, X[~train], Y[~train])["moods"] > 0.78
    assert moods.score(X[~train], Y[~train]) > 0.2
    wine = pd.read_csv(shared_data / "wine_quality.csv.gz").sample(1500, random_state=0)
    X, y = wine.drop(columns=["quality", "is_red"]), wine["quality"]
    quality = Task("quality", "ordinal", classes=range(3, 10))
    grades = make([quality], lr=1e-3).fit(X[:1000], y[:1000])
    assert grades.score(X[1000:], y[1000:]) > 0.08
