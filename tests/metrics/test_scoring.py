"""Task scorers: against scikit-learn on the labelled rows, and inside its tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.metrics import (
    brier_score_loss,
    d2_log_loss_score,
    f1_score,
    get_scorer_names,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, Task, TaskScoring, task_scorer
from skmtl.tasks import TaskWarning

METRICS = {"price": "r2", "sold": "roc_auc"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    Y = pd.DataFrame(
        {
            "price": X[:, 0] + 0.2 * rng.normal(size=150),
            "sold": np.where(X[:, 1] > 0, "yes", "no"),
            "kind": rng.choice(["a", "b", "c"], 150),
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.2)


@pytest.fixture(scope="module")
def est(table):
    return small().fit(*table)


def small(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 20, "lr": 0.01, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**{**defaults, **params})


def test_scores_are_scikit_learns_on_the_labelled_rows(table, est):
    X, Y = table
    rows = {name: Y[name].notna().to_numpy() for name in Y}
    weight = np.random.default_rng(1).random(150)
    scoring = TaskScoring({"price": "r2", "sold": "f1", "kind": "roc_auc_ovr"})
    scores = scoring(est, X, Y, weight)
    price, sold, kind = (Y[name][rows[name]] for name in Y)
    predicted = est.predict(X)
    expected = {
        "price": r2_score(price, predicted["price"][rows["price"]], sample_weight=weight[rows["price"]]),
        "sold": f1_score(
            sold == "yes", predicted["sold"][rows["sold"]] == "yes", sample_weight=weight[rows["sold"]]
        ),
        "kind": roc_auc_score(
            kind, est.predict_proba(X)["kind"][rows["kind"]], multi_class="ovr",
            sample_weight=weight[rows["kind"]],
        ),
    }  # fmt: skip
    assert scores == pytest.approx({**expected, "score": np.mean(list(expected.values()))})


def test_one_forward_pass_for_all_tasks(table, est, monkeypatch):
    X, Y = table
    calls = []
    original = type(est).predict_outputs
    monkeypatch.setattr(
        type(est), "predict_outputs", lambda s, x: calls.append(1) or original(s, x)
    )
    TaskScoring({"price": "r2", "sold": "roc_auc", "kind": "accuracy"})(est, X, Y)
    assert len(calls) == 1


def test_a_task_without_a_label_is_nan_and_not_in_the_mean(table, est):
    X, Y = table
    scores = TaskScoring()(est, X, Y.assign(sold=None))
    assert np.isnan(scores["sold"])
    assert scores["score"] == pytest.approx((scores["price"] + scores["kind"]) / 2)


def test_weights_of_tasks(table, est):
    X, Y = table
    scores = TaskScoring(METRICS, weights={"price": 3})(est, X, Y)
    assert scores["score"] == pytest.approx((3 * scores["price"] + scores["sold"]) / 4)


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, "3", None, True])
def test_weights_of_tasks_are_numbers(table, est, weight):
    X, Y = table
    with pytest.raises(
        ValueError, match="weight of task 'price' must be a finite number of at least"
    ):
        TaskScoring(METRICS, weights={"price": weight, "sold": 1})(est, X, Y)


def test_the_worst_score_counts_in_the_mean(table, est):
    X, Y = table
    worst = {"price": "r2", "sold": lambda _y, _p: -np.inf}
    assert TaskScoring(worst)(est, X, Y)["score"] == -np.inf
    score = TaskScoring(worst, weights={"sold": 0})(est, X, Y)
    assert score["score"] == score["price"]


def test_functions_that_fall_as_predictions_get_better_are_refused(table, est):
    X, Y = table
    with pytest.raises(ValueError, match="Give 'neg_mean_absolute_error', or"):
        TaskScoring({"price": mean_absolute_error})(est, X, Y)


def test_callable_metric_and_number(table, est):
    X, Y = table
    rows = Y["price"].notna()
    scorer = task_scorer("price", lambda y, p: -mean_absolute_error(y, p))
    expected = -mean_absolute_error(Y["price"][rows], est.predict(X)["price"][rows])
    assert scorer(est, X, Y) == pytest.approx(expected)
    assert task_scorer("price", "neg_mean_absolute_error")(est, X, Y) == pytest.approx(expected)


def test_searches_with_refit_score(table):
    X, Y = table
    pipe = make_pipeline(StandardScaler(), small())
    grid = {"multitasknetclassifierregressor__sharing": ["hard", "independent"]}
    search = GridSearchCV(pipe, grid, scoring=TaskScoring(METRICS), refit="score", cv=2).fit(X, Y)
    assert {"mean_test_price", "mean_test_sold", "mean_test_score"} <= set(search.cv_results_)
    inside = TaskScoring(METRICS)(search, X, Y)
    assert inside == TaskScoring(METRICS)(search.best_estimator_, X, Y)
    halving = HalvingGridSearchCV(
        small(), {"sharing": ["hard", "independent"]}, resource="max_epochs", max_resources=8,
        min_resources=2, scoring=TaskScoring(METRICS), refit="score", cv=2, random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert halving.best_params_["sharing"] in {"hard", "independent"}


def test_tools_that_want_a_number(table, est):
    X, Y = table
    scores = cross_val_score(small(), X, Y, cv=2, scoring=task_scorer("sold", "roc_auc"))
    assert (scores > 0.7).all()
    importance = permutation_importance(
        est, X, Y, scoring=task_scorer("price", "r2"), n_repeats=2, random_state=0
    )
    assert importance.importances_mean.argmax() == 0


def test_sample_weight_without_and_with_metadata_routing(table):
    X, Y = table
    weight = np.r_[np.ones(75), np.full(75, 1e-9)]
    seen = []

    def metric(y_true, y_pred, sample_weight=None):
        seen.append(sample_weight)
        return r2_score(y_true, y_pred, sample_weight=sample_weight)

    search = GridSearchCV(
        small(), {"lr": [0.01]}, scoring=TaskScoring({"price": metric}), refit="score", cv=2
    )
    search.fit(X, Y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        scoring = TaskScoring({"price": metric}).set_score_request(sample_weight=True)
        routed = small().set_fit_request(sample_weight=True)
        seen.clear()
        result = cross_validate(
            routed, X, Y, cv=GroupKFold(2), scoring=scoring,
            params={"sample_weight": weight, "groups": np.arange(150) % 5},
        )  # fmt: skip
        assert np.isfinite(result["test_score"]).all()
    assert all(w is not None and len(w) < 75 for w in seen)


def test_pickle_clone_and_repr():
    scoring = TaskScoring(METRICS)
    assert repr(pickle.loads(pickle.dumps(scoring))) == repr(clone(scoring))
    assert len(pickle.dumps(scoring)) < 1000


def test_errors(table, est):
    X, Y = table
    with pytest.raises(ValueError, match=r"Unknown task 'prize'.*Did you mean 'price'"):
        TaskScoring({"prize": "r2"})(est, X, Y)
    with pytest.raises(ValueError, match=r"'roc_auc' failed on task 'price' \(regression\)"):
        TaskScoring({"price": "roc_auc"})(est, X, Y)
    with pytest.raises(ValueError, match=r"'kind' \(multiclass\).*There are also.*'roc_auc_ovr'"):
        TaskScoring({"kind": "roc_auc"})(est, X, Y)
    with pytest.raises(
        ValueError, match=r"'r2' is for numbers, but task 'kind' is multiclass.*dec"
    ):
        TaskScoring({"kind": "r2"})(est, X, Y)
    with pytest.raises(TypeError, match="need a multi-task estimator of skmtl"):
        TaskScoring(METRICS)(StandardScaler(), X, Y)
    with pytest.raises(ValueError, match=r"same number of rows. Found 150 and 10"):
        TaskScoring(METRICS)(est, X, Y[:10])


def test_a_task_called_score_makes_room(table):
    X, Y = table
    Y = Y.rename(columns={"price": "score"})
    est = small().fit(X, Y)
    scores = TaskScoring()(est, X, Y)
    assert set(scores) == {"task_score", "sold", "kind", "score"}
    assert scores["score"] == pytest.approx(
        np.mean([scores[k] for k in ("task_score", "sold", "kind")])
    )
    assert task_scorer("score", "r2")(est, X, Y) == pytest.approx(scores["task_score"])


def test_weights_in_a_frame_go_by_name(table, est):
    X, Y = table
    weights = pd.DataFrame(np.random.default_rng(0).random(Y.shape), columns=list(Y))
    turned = weights[["kind", "price", "sold"]]
    assert TaskScoring()(est, X, Y, weights) == TaskScoring()(est, X, Y, turned)
    assert TaskScoring()(est, X, Y, weights) != TaskScoring()(est, X, Y)


def test_a_metric_without_weights_is_asked_without(table, est):
    X, Y = table
    metric = TaskScoring({"price": lambda y, p: -mean_absolute_error(y, p)})
    assert metric(est, X, Y, np.random.default_rng(0).random(150)) == metric(est, X, Y)


#: scikit-learn 1.7 does not know the last of them.
OF_PROBABILITIES = {"neg_log_loss", "neg_brier_score", "d2_log_loss_score"} & {*get_scorer_names()}
FOLDED = pd.DataFrame(
    {
        "kind": pd.Categorical(["a", "b"] * 30, ["a", "b", "never"]),
        "rare": ["x"] * 25 + ["y"] * 34 + ["z"],
        "price": np.linspace(-1, 1, 60),
    }
)
ROWS = np.random.default_rng(0).normal(size=(60, 3)) + FOLDED[["price"]].to_numpy()


@pytest.mark.parametrize("metric", sorted(OF_PROBABILITIES))
def test_a_class_without_a_row_in_the_fold(metric):
    """Its probability counts, as if the metric had been told of all classes."""
    scoring = TaskScoring({"kind": metric, "rare": metric, "price": "r2"})
    est = small(max_epochs=3)
    scored = cross_validate(est, ROWS, FOLDED, cv=KFold(6), scoring=scoring)
    for name in ("kind", "rare", "price", "score"):
        assert np.isfinite(scored[f"test_{name}"]).all()
    est.fit(ROWS, FOLDED)
    rows = np.flatnonzero(FOLDED["rare"] == "y")
    p, y = est.predict_proba(ROWS[rows])["rare"], np.full(len(rows), 1)
    expected = {
        "neg_log_loss": -log_loss(y, p, labels=[0, 1, 2]),
        "neg_brier_score": -brier_score_loss(y, p, labels=[0, 1, 2]),
        "d2_log_loss_score": d2_log_loss_score(y, p, labels=[0, 1, 2]),
    }
    found = TaskScoring({"rare": metric})(est, ROWS[rows], FOLDED.iloc[rows])
    assert found["rare"] == pytest.approx(expected[metric], nan_ok=True)


def test_a_curve_of_classes_that_are_not_there_is_not_defined():
    est = small(max_epochs=3).fit(ROWS, FOLDED)
    with pytest.warns(sklearn.exceptions.UndefinedMetricWarning):
        scores = TaskScoring({"rare": "roc_auc_ovr", "price": "r2"})(est, ROWS[:50], FOLDED[:50])
    assert np.isnan(scores["rare"])
    assert scores["score"] == scores["price"]


@pytest.mark.parametrize("metric", sorted(OF_PROBABILITIES))
def test_metrics_of_one_label_are_means_over_the_labels(metric):
    labels = pd.DataFrame({"w": ROWS[:, 0] > 0, "l": ROWS[:, 1] > 0.5})
    est = small(tasks={"mood": Task("mood", "multilabel", columns=["w", "l"])}, max_epochs=5)
    est.fit(ROWS, labels)
    p, weight = est.predict_proba(ROWS)["mood"], np.linspace(0.5, 2, 60)
    score = {
        "neg_log_loss": lambda *args, **kw: -log_loss(*args, **kw),
        "neg_brier_score": lambda *args, **kw: -brier_score_loss(*args, **kw),
        "d2_log_loss_score": d2_log_loss_score,
    }[metric]
    for kw in ({}, {"sample_weight": weight}):
        expected = np.mean([score(labels[c], p[:, i], **kw) for i, c in enumerate(labels)])
        found = TaskScoring({"mood": metric})(est, ROWS, labels, **kw)
        assert found["mood"] == pytest.approx(expected)


def test_weights_in_a_frame_go_by_name_or_are_refused(table, est):
    X, Y = table
    random = np.random.default_rng(1)
    W = pd.DataFrame(random.random((150, 3)), columns=["kind", "price", "sold"])
    score = task_scorer("price", "r2")
    assert score(est, X, Y, sample_weight=W) == score(est, X, Y, sample_weight=W["price"])
    assert est.score(X, Y, W) == est.score(X, Y, W[["sold", "kind", "price"]])
    with pytest.raises(ValueError, match=r"lack columns for the tasks \['price', 'sold'\]"):
        score(est, X, Y, sample_weight=W[["kind"]])
    with pytest.raises(ValueError, match=r"Found column 'prize'.*Did you mean 'price'"):
        est.score(X, Y, W.rename(columns={"price": "prize"}))
    with pytest.raises(ValueError, match=r"must have shape \(150,\) or \(150, 3\)"):
        score(est, X, Y, sample_weight=W.to_numpy()[:, :2])


def test_labels_of_which_none_is_a_class_have_no_score():
    """As if they were missing, whatever the metric, and with a warning that says what they are."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = pd.DataFrame({"p": X[:, 0], "k": np.digitize(X[:, 1], [-1, 1])})
    est = small(tasks=None).fit(X, Y)
    alone = TaskScoring({"p": "skill"})(est, X, Y)["p"]
    words = Y.assign(k=Y["k"].astype(str))
    for metrics in (None, {"p": "skill", "k": "accuracy"}, {"p": "skill", "k": "neg_log_loss"}):
        with pytest.warns(TaskWarning, match=r"Task 'k' is not scored.*make them alike"):
            scores = TaskScoring(metrics)(est, X, words)
        assert np.isnan(scores["k"])
        assert scores["score"] == alone
    words = words.astype({"k": object})
    words.loc[0, "k"] = Y.loc[0, "k"]  # one that is known: the others are wrong predictions
    assert TaskScoring({"k": "accuracy"})(est, X, words)["k"] <= 1 / 80


def test_tasks_that_have_the_names_of_scores():
    X = np.random.default_rng(0).normal(size=(60, 3))
    Y = pd.DataFrame({"score": X[:, 0], "task_score": X[:, 1]})
    est = small(tasks=None).fit(X, Y)
    scores = TaskScoring()(est, X, Y)
    assert list(scores) == ["task_task_score", "task_score", "score"]
    assert scores["task_task_score"] == pytest.approx(r2_score(Y["score"], est.predict(X)["score"]))
    for name, key in (("score", "task_task_score"), ("task_score", "task_score")):
        assert task_scorer(name)(est, X, Y) == scores[key]


def test_a_metric_is_one_name_or_function(table, est):
    X, Y = table
    with pytest.raises(
        TypeError, match=r"metric of task 'price' must be .* one of them\. Found \['r2'"
    ):
        TaskScoring({"price": ["r2", "max_error"]})(est, X, Y)
    with pytest.raises(ValueError, match="Did you mean 'r2'"):
        TaskScoring({"price": "r22"})(est, X, Y)
