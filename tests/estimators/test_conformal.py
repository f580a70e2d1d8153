"""Intervals and sets that hold the truth with a given frequency."""

import numpy as np
import pandas as pd
import pytest

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
)
from skmtl.estimators._conformal import Conformity
from skmtl.tasks import Task

N = 600


def make(**params):
    defaults = {"hidden_layer_sizes": (16,), "max_epochs": 15, "lr": 1e-2, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**defaults | params)


def draw(n, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4))
    y = X[:, 0] + (0.5 + 0.3 * X[:, 1]) * random.normal(size=n)
    c = np.array(["a", "b", "c"])[np.digitize(X[:, 2] + random.normal(size=n), [-0.7, 0.7])]
    return X, pd.DataFrame({"y": 10 * y, "c": c, "z": X[:, 3] + random.normal(size=n)})


@pytest.fixture(scope="module")
def table():
    X, Y = draw(N, 0)
    Y.loc[np.random.default_rng(1).random(N) < 0.3, "y"] = np.nan
    return X, Y


@pytest.fixture(scope="module", params=["folds", "one part"])
def fitted(request, table):
    members = {"folds": 5, "one part": 1}[request.param]
    return make(n_members=members, early_stopping=True, validation_fraction=0.3).fit(*table)


def covered(est, X, Y, coverage, joint=False):
    """Which cells of Y the intervals and sets hold, shape (n_samples, task)."""
    ends = est.predict_interval(X, coverage, joint=joint)
    sets = est.predict_set(X, coverage, joint=joint)["c"]
    codes = pd.Categorical(Y["c"], categories=est.classes_["c"]).codes
    hits = {name: (ends[name][:, 0] <= Y[name]) & (Y[name] <= ends[name][:, 1]) for name in "yz"}
    return pd.DataFrame(hits).assign(c=sets[np.arange(len(X)), codes])


@pytest.mark.parametrize("coverage", [0.7, 0.8, 0.95])
def test_each_task_is_covered_as_promised(fitted, coverage):
    shares = covered(fitted, *draw(4000, 2), coverage).mean()
    assert shares.between(coverage - 0.06, coverage + 0.06).all(), shares


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_all_tasks_together_are_covered_as_promised(fitted, coverage):
    hits = covered(fitted, *draw(4000, 2), coverage, joint=True)
    # Of about 126 rows with all labels; over 16 tables the mean was 0.49, 0.79 and 0.89.
    luck = np.sqrt(coverage * (1 - coverage) / (0.3 * 0.7 * N))
    assert hits.all(axis=1).mean() == pytest.approx(coverage, abs=2.5 * luck)
    assert (hits.mean() > coverage).all()


def test_split_conformal_by_hand(table):
    """With validation rows of one's own, the quantile is that of their residuals."""
    X, Y = table
    X_val, Y_val = draw(19, 3)
    est = make(tasks={"z": "regression"}).fit(X, Y[["z"]], X_val=X_val, y_val=Y_val[["z"]])
    residuals = np.sort(np.abs(est.predict(X_val)["z"] - Y_val["z"]))
    # (19 + 1) * 0.9 = 18: the 18th of 19; (19 + 1) * 0.95 = 19: the last one.
    for coverage, position in ((0.9, 17), (0.95, 18), (0.05, 0)):
        ends = est.predict_interval(X[:3], coverage)["z"]
        reach = residuals[position]
        prediction = est.predict(X[:3])["z"]
        np.testing.assert_allclose(ends[:, 0], prediction - reach, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ends[:, 1], prediction + reach, rtol=1e-4, atol=1e-5)
    assert np.isinf(est.predict_interval(X[:3], 0.96)["z"]).all()


def test_units_of_the_target(table):
    X, Y = table
    first = make().fit(X, Y[["z"]]).predict_interval(X)["z"]
    scaled = make().fit(X, 100 * Y[["z"]] + 7).predict_interval(X)["z"]
    np.testing.assert_allclose(scaled, 100 * first + 7, rtol=1e-3, atol=1e-2)


def test_the_likeliest_class_is_always_in_the_set(fitted):
    X, _ = draw(300, 4)
    sets = fitted.predict_set(X, 0.01)["c"]
    best = fitted.predict_proba(X)["c"].argmax(1)
    assert sets[np.arange(300), best].all()
    assert (sets.sum(1) == 1).mean() > 0.9
    assert fitted.predict_set(X, 0.999)["c"].sum(1).mean() > 2


def test_vectors_and_single_targets(table):
    X, Y = table
    Y_three = np.column_stack([Y["z"], X[:, 0], X[:, 1]])
    tasks = [Task("v", "regression", columns=[0, 1]), Task("w", "regression", columns=[2])]
    est = MultiTaskNetRegressor(tasks, max_epochs=3, random_state=0).fit(X, Y_three)
    ends = est.predict_interval(X[:7])
    assert {name: part.shape for name, part in ends.items()} == {"v": (7, 2, 2), "w": (7, 2)}
    inside = (ends["v"][:, :, 0] < est.predict(X[:7])[:, :2]).all()
    assert inside
    single = MultiTaskNetRegressor(max_epochs=3, random_state=0).fit(X, Y["z"].to_numpy())
    assert single.predict_interval(X[:7]).shape == (7, 2)
    assert not hasattr(single, "predict_set")


def test_ranks_of_all_tasks_give_the_joint_share():
    """Of 99 rows, whose worst rank is known, by hand."""
    order = np.arange(1.0, 100.0)
    alike = Conformity({"a": order[:, None], "b": 5 * order[:, None]})
    np.testing.assert_allclose(alike.reaches(0.9, joint=True)["a"], [90.0])
    np.testing.assert_allclose(alike.reaches(0.9, joint=False)["b"], [450.0])
    opposed = Conformity({"a": order[:, None], "b": order[::-1, None]})
    # The worse of ranks k and 100 - k is at most 95 in 90 or 91 of the 99 rows.
    np.testing.assert_allclose(opposed.reaches(0.9, joint=True)["a"], [95.0])


def test_a_task_without_any_label_leaves_the_joint_share_alone():
    order = np.arange(1.0, 100.0)
    labelled = {"a": order[:, None], "b": order[::-1, None]}
    lone = Conformity(labelled | {"c": np.full((99, 1), np.nan)})
    found = lone.reaches(0.9, joint=True)
    np.testing.assert_array_equal(found["a"], Conformity(labelled).reaches(0.9, joint=True)["a"])
    np.testing.assert_array_equal(found["c"], [np.inf])


def test_few_complete_rows_take_bonferroni():
    scores = np.arange(1.0, 200.0)[:, None]
    rows = np.arange(199)[:, None]
    never = Conformity(
        {"a": np.where(rows < 100, scores, np.nan), "b": np.where(rows >= 100, scores, np.nan)}
    )
    np.testing.assert_allclose(never.reaches(0.9, joint=True)["a"], [96.0])  # 0.95 * (100 + 1)


def test_errors(table):
    X, Y = table
    est = make(early_stopping=False, max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="judged by rows that `fit` held out, and none were"):
        est.predict_interval(X)
    est = make(max_epochs=1).fit(X, Y)
    for wrong in (0, 1, 1.5, "0.9", True, np.nan):
        with pytest.raises(ValueError, match="`coverage` must be a number between 0 and 1"):
            est.predict_set(X, wrong)
    est.partial_fit(X, Y)
    with pytest.raises(ValueError, match="held out, and none were"):
        est.predict_interval(X)


def test_quantiles_are_moved_until_they_cover():
    """Widths follow the row, and a level is between its neighbours."""
    X, Y = draw(2000, 5)
    task = Task("y", "quantile", quantiles=(0.1, 0.5, 0.9))
    est = make(tasks=[task], max_epochs=20).fit(X, Y[["y"]])
    levels = est.predict_quantiles(X)["y"]
    assert (np.diff(levels, axis=1) >= 0).all()
    ends = est.predict_interval(X, 0.8)["y"]
    width = ends[:, 1] - ends[:, 0]
    assert width[X[:, 1] > 1].mean() > 1.2 * width[X[:, 1] < -1].mean()
    X_new, Y_new = draw(4000, 6)
    ends = est.predict_interval(X_new, 0.8)["y"]
    inside = (ends[:, 0] <= Y_new["y"]) & (Y_new["y"] <= ends[:, 1])
    assert inside.mean() == pytest.approx(0.8, abs=0.05)
    assert not hasattr(make(max_epochs=1).fit(X, Y), "predict_quantiles")


def test_quantiles_that_are_too_far_apart_meet_in_the_middle_at_most():
    X, Y = draw(400, 5)
    task = Task("y", "quantile", quantiles=(0.05, 0.5, 0.95))
    y = Y["y"] * np.where(X[:, 1] > 0, 1.0, 0.02)  # of some rows the levels are close already
    est = make(tasks=[task], max_epochs=100).fit(X, y.to_frame())
    ends, levels = est.predict_interval(X, 0.3)["y"], est.predict_quantiles(X)["y"]
    assert (ends[:, 0] <= ends[:, 1]).all()
    met = ends[:, 0] == ends[:, 1]
    assert met.any()
    np.testing.assert_allclose(ends[met, 0], levels[met][:, [0, -1]].mean(axis=1))


def test_only_numbers_have_intervals():
    X, Y = draw(60, 0)
    assert not hasattr(make(max_epochs=1).fit(X, Y[["c"]]), "predict_interval")
    assert not hasattr(make(max_epochs=1).fit(X, Y["c"]), "predict_interval")
    assert not hasattr(MultiTaskNetClassifier(), "predict_interval")


def test_counts_are_not_negative():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 2))
    n = random.poisson(np.exp(X[:, 0]))
    est = make(tasks={"n": "count"}, max_epochs=5).fit(X, pd.DataFrame({"n": n}))
    ends = est.predict_interval(X)["n"]
    assert (ends[:, 0] >= 0).all()
    assert (ends[:, 0] < ends[:, 1]).all()
