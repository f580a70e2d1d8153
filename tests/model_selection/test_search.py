import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joblib._parallel_backends import ThreadingBackend
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor, TaskScoring
from skmtl.metrics import task_scorer
from skmtl.model_selection import (
    MultiTaskGridSearchCV,
    MultiTaskHalvingSearchCV,
    MultiTaskRandomizedSearchCV,
)
from skmtl.training import _epochs, _net, _stack

GRID = {"lr": [1e-3, 3e-2], "sharing": ["hard", "cross_stitch"]}


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(0)
    n = 61
    X = pd.DataFrame(draw.normal(size=(n, 4)), columns=list("abcd"))
    Y = pd.DataFrame(
        {"number": X.a + 0.1 * draw.normal(size=n), "two": np.where(X.b > 0, "x", "y")}
    )
    Y["three"] = np.digitize(X.c, [-0.5, 0.5]).astype(str)
    Y.loc[draw.random(n) < 0.3, "number"] = np.nan
    Y.loc[draw.random(n) < 0.2, "three"] = None
    return X, Y


def net(**params):
    small = {"hidden_layer_sizes": (8,), "max_epochs": 4, "n_members": 1, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**{"dtype": "float64", **small, **params})


def _named(frame):
    return frame[["a", "b"]]


def pipeline(**params):
    return Pipeline([("scale", StandardScaler()), ("pca", PCA(3)), ("net", net(**params))])


def assert_same(ours, theirs, X, *, atol=1e-9):
    """The results of scikit-learn's own search."""
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for name, values in theirs.cv_results_.items():
        if name.startswith(("split", "mean_t", "mean_s", "std_t")) and "time" not in name:
            np.testing.assert_allclose(ours.cv_results_[name], values, atol=atol, err_msg=name)
        if name.startswith("rank"):
            assert (ours.cv_results_[name] == values).all()
    if theirs.refit:
        assert ours.best_params_ == theirs.best_params_
        assert ours.best_index_ == theirs.best_index_
        pd.testing.assert_frame_equal(ours.predict(X), theirs.predict(X))


def test_a_grid_is_a_stack_for_each_shape_and_scores_as_scikit_learn_does(table):
    X, Y = table
    options = {"cv": 3, "return_train_score": True}
    ours = MultiTaskGridSearchCV(net(), GRID, **options).fit(X, Y)
    assert_same(ours, GridSearchCV(net(), GRID, **options).fit(X, Y), X)
    plan = ours.explain_plan()
    assert plan["how"].tolist() == ["stacked", "stacked"]
    assert plan["n_fits"].tolist() == [6, 6]
    assert plan["candidates"].tolist() == [[0, 2], [1, 3]]
    assert (plan["memory_mb"] >= 0).all()
    assert (ours.cv_results_["mean_fit_time"] > 0).all()


SCHEMES = ["hard", "independent", "mmoe", "cross_stitch", "grouped", "low_rank"]


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # some learn nothing
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lrs=st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=2, unique=True),
    schemes=st.lists(st.sampled_from(SCHEMES), min_size=1, max_size=2, unique=True),
    weights=st.lists(
        st.sampled_from([None, "uncertainty", "dwa", (1.0, 2.0, 0.5)]),
        min_size=1,
        max_size=2,
        unique=True,
    ),
    stops=st.booleans(),
    n_members=st.sampled_from([1, 3]),
    batch_size=st.sampled_from([7, 16, -1]),
    seed=st.integers(0, 3),
)
def test_grids_drawn_at_random(table, lrs, schemes, weights, stops, n_members, batch_size, seed):
    X, Y = table
    estimator = net(
        early_stopping=stops,
        n_members=n_members,
        batch_size=batch_size,
        random_state=seed,
        n_iter_no_change=1,
        max_epochs=8,
    )
    grid = {"lr": lrs, "sharing": schemes, "loss_weights": weights}
    cv = KFold(3, shuffle=True, random_state=seed)
    ours = MultiTaskGridSearchCV(estimator, grid, cv=cv).fit(X, Y)
    assert_same(ours, GridSearchCV(estimator, grid, cv=cv).fit(X, Y), X, atol=1e-7)


def test_steps_before_the_net_are_fitted_once_for_all_that_do_not_change_them(table, monkeypatch):
    X, Y = table
    grid = {"net__lr": [1e-3, 1e-2, 1e-1], "pca__n_components": [2, 3]}
    theirs = GridSearchCV(pipeline(), grid, cv=2).fit(X, Y)
    fitted = []
    fit_transform = StandardScaler.fit_transform

    def counted(self, *args, **kwargs):
        fitted.append(self)
        return fit_transform(self, *args, **kwargs)

    monkeypatch.setattr(StandardScaler, "fit_transform", counted)
    ours = MultiTaskGridSearchCV(pipeline(), grid, cv=2).fit(X, Y)
    assert len(fitted) == 2 * 2 + 1  # splits times numbers of components, and the best one
    assert_same(ours, theirs, X)


def test_a_randomised_search(table):
    X, Y = table
    options = {"n_iter": 3, "cv": ShuffleSplit(2, random_state=0), "random_state": 1}
    drawn = {"lr": loguniform(1e-3, 1e-1), "weight_decay": [0.0, 0.1]}
    ours = MultiTaskRandomizedSearchCV(net(), drawn, **options)
    plan = ours.explain_plan(X, Y)
    assert plan[["how", "n_fits"]].to_numpy().tolist() == [["stacked", 6]]
    assert_same(ours.fit(X, Y), RandomizedSearchCV(net(), drawn, **options).fit(X, Y), X)


@pytest.mark.parametrize("resource", ["n_samples", "max_epochs"])
def test_a_halving_search(table, resource):
    X, Y = table
    grid = {"lr": [1e-3, 1e-2, 3e-2, 1e-1]}
    rounds = {"n_samples": {}, "max_epochs": {"max_resources": 4, "min_resources": 2}}
    options = {"cv": 2, "factor": 2, "random_state": 0, "resource": resource, **rounds[resource]}
    estimator = net(early_stopping=False)
    ours = MultiTaskHalvingSearchCV(estimator, grid, **options).fit(X, Y)
    theirs = HalvingGridSearchCV(estimator, grid, **options).fit(X, Y)
    assert ours.n_resources_ == theirs.n_resources_
    assert_same(ours, theirs, X)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_that_fails_has_the_error_score(table):
    X, Y = table
    grid = {"lr": [1e-3, -1.0]}
    with pytest.warns(FitFailedWarning, match="`lr` must be"):
        search = MultiTaskGridSearchCV(net(), grid, cv=2).fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with pytest.raises(ValueError, match="`lr` must be"):
        MultiTaskGridSearchCV(net(), grid, cv=2, error_score="raise").fit(X, Y)


def test_an_error_leaves_the_search_as_it_was(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3]}, cv=2).fit(X, Y)
    before = dict(vars(search))
    search.set_params(error_score="raise", estimator__lr=-1.0, param_grid={"tol": [1e-4]})
    with pytest.raises(ValueError, match="`lr` must be"):
        search.fit(X, Y)
    assert search.best_estimator_ is before["best_estimator_"]
    assert search.plan_ is before["plan_"]


def test_groups_weights_and_several_scores_go_where_they_go_in_scikit_learn(table):
    X, Y = table
    draw = np.random.default_rng(0)
    params = {"groups": draw.integers(0, 6, len(X)), "sample_weight": draw.random(len(X))}
    options = {
        "cv": GroupKFold(3),
        "scoring": {"r2": task_scorer("number", "r2"), "acc": task_scorer("two", "accuracy")},
        "refit": "acc",
    }
    ours = MultiTaskGridSearchCV(net(), {"lr": [1e-3, 1e-2]}, **options).fit(X, Y, **params)
    assert_same(ours, GridSearchCV(net(), {"lr": [1e-3, 1e-2]}, **options).fit(X, Y, **params), X)


def test_parameters_of_a_fit_reach_the_last_step_of_a_pipeline(table):
    X, Y = table
    weight = {"net__sample_weight": np.random.default_rng(0).random(len(X))}
    grid = {"net__lr": [1e-3, 1e-2]}
    ours = MultiTaskGridSearchCV(pipeline(), grid, cv=2).fit(X, Y, **weight)
    assert_same(ours, GridSearchCV(pipeline(), grid, cv=2).fit(X, Y, **weight), X)


def test_groups_of_a_fit_reach_the_last_step_of_a_pipeline(table):
    X, Y = table
    whole = Pipeline([("net", net(n_members=3, early_stopping=True))])
    groups = {"net__groups": pd.Series(np.arange(len(X)) // 5)}
    grid = {"net__lr": [1e-3, 1e-2]}
    ours = MultiTaskGridSearchCV(whole, grid, cv=2).fit(X, Y, **groups)
    assert_same(ours, GridSearchCV(whole, grid, cv=2).fit(X, Y, **groups), X)
    alone = MultiTaskGridSearchCV(whole, grid, cv=2).fit(X, Y)
    assert not np.array_equal(
        ours.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_processes_give_the_same(table):
    X, Y = table
    ours = MultiTaskGridSearchCV(net(), GRID, cv=2, n_jobs=2).fit(X, Y)
    assert_same(ours, GridSearchCV(net(), GRID, cv=2).fit(X, Y), X)
    assert ours.n_jobs == 2


def test_one_candidate_is_shared_out_too(table):
    X, Y = table
    one = MultiTaskGridSearchCV(net(), {"lr": [1e-2]}, cv=4, n_jobs=2).fit(X, Y)
    assert one.explain_plan()["n_fits"].tolist() == [2, 2]
    assert_same(one, GridSearchCV(net(), {"lr": [1e-2]}, cv=4).fit(X, Y), X)


def test_a_memory_budget_cuts_splits_and_stacks(table):
    X, Y = table
    grid = {"lr": [1e-3, 1e-2, 3e-2]}
    small = MultiTaskGridSearchCV(net(), grid, cv=3, max_memory=2e4).fit(X, Y)
    plan = small.plan_
    assert len(plan) > 3
    assert all(len(splits) == 1 for splits in plan["splits"])
    stacked = plan[plan["how"] == "stacked"]
    assert (stacked["memory_mb"] <= 2e4 / 2**20 + 0.05).all()
    assert_same(small, GridSearchCV(net(), grid, cv=3).fit(X, Y), X)


def test_a_plan_tells_why_fits_are_single(table):
    X, Y = table
    grid = {"optimizer": ["adamw", "sgd"], "lr": [1e-3, 1e-2]}
    search = MultiTaskGridSearchCV(net(), grid, cv=2)
    with pytest.raises(AttributeError, match="no plan yet"):
        search.explain_plan()
    plan = search.explain_plan(X, Y)
    assert not hasattr(search, "best_estimator_")
    assert plan["how"].tolist() == ["stacked"] + ["single"] * 4
    assert set(plan["why"]) == {"", "optimizer='sgd'"}
    assert plan["n_fits"].sum() == 8


def test_a_plan_and_times_tell_of_all_nets_of_a_fit(table):
    """Also of those that are trained after the first, and a wide net takes longer than a small one."""
    X, Y = table
    grid = {"preset": ["fast", "best"]}
    estimator = net(max_epochs=3).set_params(n_members="auto", hidden_layer_sizes=(64, 64))
    search = MultiTaskGridSearchCV(estimator, grid, cv=2).fit(X, Y)
    best = clone(estimator).set_params(preset="best").fit(X, Y).candidates_.values()
    n_nets = 2 * (1 + sum(candidate.n_members_ for candidate in best))
    plan = search.explain_plan()
    assert plan["n_members"].sum() == n_nets
    fast, slow = search.cv_results_["mean_fit_time"]
    assert slow > fast


def test_any_other_estimator_is_searched_over_as_scikit_learn_does(table):
    X, _ = table
    search = MultiTaskGridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, X.a)
    theirs = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2).fit(X, X.a)
    assert search.best_score_ == theirs.best_score_
    for plan in (search.explain_plan(), search.explain_plan(X, X.a)):
        assert set(plan["why"]) == {"not of skmtl"}
        assert plan["n_fits"].tolist() == [1] * 4


def test_callbacks_of_the_estimator_hear_what_they_hear_in_any_search(table):
    callback = pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
    X, _ = table
    heard = []
    for kind in (MultiTaskGridSearchCV, GridSearchCV):
        monitor = callback.ScoringMonitor(scoring="neg_mean_squared_error")
        estimator = MultiTaskNetRegressor(max_epochs=3, n_members=1, random_state=0)
        search = kind(estimator.set_callbacks(monitor), {"lr": [1e-3, 1e-2]}, cv=2, refit=False)
        search.fit(X, X[["a", "b"]])
        heard.append(len(monitor.get_logs().data))
        if kind is MultiTaskGridSearchCV:
            assert set(search.explain_plan()["why"]) == {"callbacks"}
    assert heard == [12, 12]


def test_routed_parameters_of_a_pipeline_are_the_nets(table):
    X, Y = table
    groups = np.arange(len(X)) % 6
    grid = {"net__lr": [1e-3, 1e-2]}
    results = []
    with sklearn.config_context(enable_metadata_routing=True):
        for kind in (MultiTaskGridSearchCV, GridSearchCV):
            search = kind(pipeline(), grid, cv=GroupKFold(3), n_jobs=2, refit=False)
            results.append(search.fit(X, Y, groups=groups))
        plan = results[0].explain_plan()
        assert set(plan["how"]) == {"stacked"}
        assert results[0].explain_plan(X, Y, groups=groups)["n_fits"].sum() == 6
        # A step before the net that asks for weights gets them from scikit-learn.
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        weighed = MultiTaskGridSearchCV(pipeline().set_params(scale=scaler), grid, cv=2)
        asks = weighed.estimator.named_steps["net"].set_fit_request(sample_weight=True)
        asks.set_score_request(sample_weight=True)
        weighed.set_params(refit=False).fit(X, Y, sample_weight=np.ones(len(X)))
        assert weighed.explain_plan()["why"].str.contains("not the net's alone").all()
    ours, theirs = (search.cv_results_["mean_test_score"] for search in results)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_plan_does_not_use_up_the_splits(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3]}, cv=KFold(2).split(X))
    with pytest.raises(ValueError, match="Make it a list"):
        search.explain_plan(X, Y)
    search.fit(X, Y)


class OfLogs(MultiTaskNetRegressor):
    """A net with a `fit` of its own."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, np.log1p(y), sample_weight)

    def predict(self, X):
        return np.expm1(super().predict(X))


@pytest.mark.parametrize("is_step", [False, True])
def test_a_fit_of_its_own_is_called(table, is_step):
    X, Y = table
    y = np.exp(Y[["number"]].fillna(0.0))
    alone = OfLogs(max_epochs=3, random_state=0)
    estimator = Pipeline([("net", alone)]) if is_step else alone
    grid = {"net__lr" if is_step else "lr": [1e-3, 1e-2]}
    ours = MultiTaskGridSearchCV(estimator, grid, cv=2).fit(X, y)
    theirs = GridSearchCV(estimator, grid, cv=2).fit(X, y)
    expected = theirs.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], expected)
    assert set(ours.explain_plan()["why"]) == {"a `fit` of its own"}


@pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning")
def test_half_of_the_validation_rows_is_an_error_in_a_search_too(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3]}, cv=2)
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        search.fit(X, Y, y_val=Y)


def test_several_scores_need_a_word_on_the_best_before_any_fit(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3]}, scoring=TaskScoring())
    with pytest.raises(ValueError, match="Set `refit='score'`"):
        search.fit(X, Y)


def test_splits_may_come_from_a_generator(table):
    X, Y = table
    splits = list(KFold(2).split(X))
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3, 1e-2]}, cv=iter(splits)).fit(X, Y)
    listed = MultiTaskGridSearchCV(net(), {"lr": [1e-3, 1e-2]}, cv=splits).fit(X, Y)
    assert "stacked" in set(search.plan_["how"])
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], listed.cv_results_["mean_test_score"]
    )
    assert listed.cv is splits


def test_a_plan_does_not_use_up_a_generator(table):
    X, Y = table

    def search():
        random = np.random.RandomState(0)
        return MultiTaskRandomizedSearchCV(
            net(),
            {"lr": uniform(1e-3, 1e-2)},
            n_iter=2,
            cv=KFold(2, shuffle=True, random_state=random),
            random_state=random,
            refit=False,
        )

    planned = search()
    planned.explain_plan(X, Y)
    ours, expected = planned.fit(X, Y).cv_results_, search().fit(X, Y).cv_results_
    assert ours["params"] == expected["params"]
    np.testing.assert_array_equal(ours["mean_test_score"], expected["mean_test_score"])


def test_the_settings_of_scikit_learn_hold_in_processes(table):
    """Here that steps return frames, whose columns the last one names."""
    X, Y = table
    names = FunctionTransformer(_named)
    steps = Pipeline([("scale", StandardScaler()), ("names", names), ("net", net())])
    with sklearn.config_context(transform_output="pandas"):
        search = MultiTaskGridSearchCV(steps, {"net__lr": [1e-3, 1e-2]}, cv=2, n_jobs=2)
        assert np.isfinite(search.fit(X, Y).cv_results_["mean_test_score"]).all()


def test_a_search_is_cloned_and_pickled(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3, 1e-2]}, cv=2, max_memory=1e9).fit(X, Y)
    assert clone(search).max_memory == 1e9
    again = pickle.loads(pickle.dumps(search))
    pd.testing.assert_frame_equal(again.predict(X), search.predict(X))
    assert "fit" not in vars(search.best_estimator_)
    assert search.best_estimator_.fit(X, Y) is search.best_estimator_


def test_a_search_within_a_pipeline(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3, 1e-2]}, cv=2)
    outer = Pipeline([("scale", StandardScaler()), ("search", search)]).fit(X, Y)
    assert outer.predict(X).columns.tolist() == Y.columns.tolist()


def test_the_regressor_is_stacked_too(table):
    X, _ = table
    estimator = MultiTaskNetRegressor(max_epochs=2, n_members=1, random_state=0, dtype="float64")
    ours = MultiTaskGridSearchCV(estimator, {"lr": [1e-3, 1e-2]}, cv=2).fit(X, X[["a", "b"]])
    theirs = GridSearchCV(estimator, {"lr": [1e-3, 1e-2]}, cv=2).fit(X, X[["a", "b"]])
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-9
    )


class _Insists(ThreadingBackend):
    """Takes work for two, whatever is asked, as dask's does."""

    def effective_n_jobs(self, n_jobs):
        return 2


joblib.register_parallel_backend("insists", _Insists)


@pytest.mark.parametrize(
    ("backend", "n_jobs"),
    [("threading", 4), ("loky", 2), ("sequential", None), ("insists", 2)],
)
@pytest.mark.parametrize("own", [None, 2])
def test_fits_go_to_their_candidates_whatever_joblib_is_set_to(table, backend, n_jobs, own):
    X, Y = table
    grid = {"lr": [1e-3, 1e-2, 3e-2, 0.1, 0.3]}
    theirs = GridSearchCV(net(), grid, cv=2).fit(X, Y)
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        ours = MultiTaskGridSearchCV(net(), grid, cv=2, n_jobs=own).fit(X, Y)
        assert joblib.parallel.get_active_backend()[1] == n_jobs
    assert_same(ours, theirs, X)


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # some learn nothing
@pytest.mark.parametrize(
    ("params", "grid"),
    [
        ({"early_stopping": False}, {"random_state": [0, 1]}),
        ({"early_stopping": False, "dropout": 0.3}, {"lr": [1e-3, 1e-2]}),
        ({"early_stopping": True}, {"random_state": [0, 1], "bagging": ["folds", "bootstrap"]}),
    ],
)
def test_members_with_rows_drawn_with_replacement(table, params, grid):
    X, Y = table
    estimator = net(n_members=2, bagging="bootstrap", **params)
    ours = MultiTaskGridSearchCV(estimator, grid, cv=2).fit(X, Y)
    assert_same(ours, GridSearchCV(estimator, grid, cv=2).fit(X, Y), X)


def test_parameters_of_a_fit_reach_steps_before_the_net(table):
    X, Y = table
    weights = {"scale__sample_weight": np.linspace(0.1, 5, len(X))}
    ours = MultiTaskGridSearchCV(pipeline(), {"net__lr": [1e-3, 1e-2]}, cv=2)
    theirs = GridSearchCV(pipeline(), {"net__lr": [1e-3, 1e-2]}, cv=2)
    assert_same(ours.fit(X, Y, **weights), theirs.fit(X, Y, **weights), X)


def test_parameters_of_a_fit_that_there_are_not(table):
    X, Y = table
    search = MultiTaskGridSearchCV(net(), {"lr": [1e-3]}, cv=2, error_score="raise")
    with pytest.raises(TypeError, match="sample_weights"):
        search.fit(X, Y, sample_weights=np.ones(len(X)))


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_step_before_the_net_that_fails(table):
    X, Y = table
    grid = {"pca__n_components": [2, 1000], "net__lr": [1e-3, 1e-2]}
    options = {"cv": 2, "refit": False}
    with pytest.warns(FitFailedWarning, match="4 fits failed"):
        ours = MultiTaskGridSearchCV(pipeline(), grid, **options).fit(X, Y)
    with pytest.warns(FitFailedWarning, match="4 fits failed"):
        theirs = GridSearchCV(pipeline(), grid, **options).fit(X, Y)
    assert_same(ours, theirs, X)
    assert np.isnan(ours.cv_results_["mean_test_score"]).sum() == 2
    raising = MultiTaskGridSearchCV(pipeline(), grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="n_components"):
        raising.fit(X, Y)


def test_a_last_step_that_is_another(table):
    """Of ours, or of nobody's: each as scikit-learn would have it."""
    X, Y = table
    numbers = Y[["number"]].fillna(0.0).assign(other=X["b"])
    nets = [net(), MultiTaskNetRegressor(n_members=1, max_epochs=2, random_state=0), Ridge()]
    grid = {"net": nets}
    ours = MultiTaskGridSearchCV(pipeline(), grid, cv=2, scoring="r2")
    plan = ours.explain_plan(X, numbers)
    assert plan["why"].tolist().count("not of skmtl") == 2
    ours.fit(X, numbers)
    assert set(ours.explain_plan()["how"]) == {"stacked", "single"}
    theirs = GridSearchCV(pipeline(), grid, cv=2, scoring="r2").fit(X, numbers)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name], atol=1e-6)


class Times:
    """A function whose repr tells nothing."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, X):
        return X * self.factor


@pytest.mark.parametrize("times", [lambda k: lambda x: x * k, Times], ids=["function", "object"])
def test_steps_with_functions_of_one_name_are_told_apart(table, times):
    X, Y = table
    steps = [FunctionTransformer(times(k)) for k in (1, -3)]
    grid = {"scale": steps, "net__lr": [1e-2]}
    ours = MultiTaskGridSearchCV(pipeline(), grid, cv=2, refit=False).fit(X, Y)
    theirs = GridSearchCV(pipeline(), grid, cv=2, refit=False).fit(X, Y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-9
    )
    assert len(set(ours.cv_results_["mean_test_score"])) == 2


@pytest.mark.filterwarnings("ignore:CUDA out of memory. Fitting anew")
@pytest.mark.parametrize("batch_size", [16, "halving"])
def test_memory_that_does_not_suffice_for_a_stack(table, monkeypatch, batch_size):
    """Fits are made one by one, and by themselves do as they would without a search."""
    X, Y = table
    train = _epochs.train_epoch
    calls = []

    def small(network, objective, optimizer, batches, *rest):
        calls.append((network.n_members, batches.batch_size))
        if network.n_members > 1 or batches.batch_size > 16:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return train(network, objective, optimizer, batches, *rest)

    for module in (_net, _stack):
        monkeypatch.setattr(module, "train_epoch", small)
    estimator = net(batch_size=batch_size, early_stopping=False)
    grid = {"lr": [1e-3, 1e-2]}
    with pytest.warns(UserWarning, match="The 4 nets of the stack are fitted one by one"):
        ours = MultiTaskGridSearchCV(estimator, grid, cv=2, refit=False).fit(X, Y)
    monkeypatch.undo()
    theirs = GridSearchCV(estimator.set_params(batch_size=16), grid, cv=2, refit=False).fit(X, Y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-9
    )


def test_a_plan_tells_which_candidates_are_not_valid(table):
    X, Y = table
    grid = {"sharing": ["hard", "hrad"], "lr": [1e-3, -1.0]}
    plan = MultiTaskGridSearchCV(net(), grid, cv=2).explain_plan(X, Y)
    assert plan["n_fits"].sum() == 8
    wrong = plan[plan["how"] == "error"]
    assert {i for candidates in wrong["candidates"] for i in candidates} == {1, 2, 3}
    assert wrong["why"].str.contains("Did you mean 'hard'|`lr` must be").all()
