"""The report: against fits, scores and tests made one by one."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from scipy import stats
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, Task, TaskScoring, task_scorer
from skmtl.inspection import sharing_report
from skmtl.inspection._report import _table
from skmtl.model_selection import TaskStratifiedKFold


@pytest.fixture
def quick(make):
    return make(max_epochs=3, early_stopping=False)


def test_scores_are_those_of_fits_made_one_by_one(quick, table):
    X, Y = table
    quick = clone(quick).set_params(loss_weights={"price": 3.0}, class_weight={"sold": "balanced"})
    cv = KFold(3, shuffle=True, random_state=0)
    report = sharing_report(quick, X, Y, cv=cv)
    expected = []
    for fold, (train, test) in enumerate(cv.split(X)):
        shared = clone(quick).fit(X[train], Y.iloc[train])
        scores = TaskScoring()(shared, X[test], Y.iloc[test])
        expected += [(fold, name, "shared", scores[name]) for name in Y]
        for name in Y:
            rows = train[Y[name].notna().to_numpy()[train]]
            weight = {"sold": "balanced"} if name == "sold" else None
            own = clone(quick).set_params(loss_weights=None, class_weight=weight)
            own.fit(X[rows], Y[[name]].iloc[rows])
            expected.append((fold, name, "own", own.score(X[test], Y[[name]].iloc[test])))
    expected = pd.DataFrame(expected, columns=["fold", "task", "model", "score"])
    pd.testing.assert_frame_equal(report.scores, expected)
    assert list(report.table.index) == list(Y)


def test_the_table_is_the_corrected_t_test_of_the_scores(quick, table):
    X, Y = table
    report = sharing_report(quick, X, Y, cv=4, confidence=0.9)
    wide = report.scores.pivot(index="fold", columns=["task", "model"], values="score")
    p_values = {}
    for name, row in report.table.iterrows():
        gains = wide[name, "shared"] - wide[name, "own"]
        n_labels = Y[name].notna().sum()
        # Stratified folds hold a quarter of the labels each, up to one.
        variance = gains.var() * (1 / 4 + 1 / 3)
        assert row["gain"] == pytest.approx(gains.mean()) == row["shared"] - row["own"]
        half = stats.t.ppf(0.95, 3) * np.sqrt(variance)
        assert row["upper"] - row["lower"] == pytest.approx(2 * half, rel=2 / n_labels)
        p_values[name] = row["p_value"]
        expected = 2 * stats.t.sf(abs(gains.mean()) / np.sqrt(variance), 3)
        assert row["p_value"] == pytest.approx(expected, abs=0.01)
    smallest = min(p_values, key=p_values.get)
    expected = min(1.0, 4 * p_values[smallest])
    assert report.table.loc[smallest, "p_corrected"] == pytest.approx(expected)
    assert report.mean_gain == pytest.approx(report.table["gain"].mean())


def test_a_number_of_folds_stratifies_over_tasks(quick, table):
    X, Y = table
    left = sharing_report(quick, X, Y[["price", "kind"]], cv=3)
    cv = TaskStratifiedKFold(3, random_state=0)
    right = sharing_report(quick, X, Y[["price", "kind"]], cv=cv)
    pd.testing.assert_frame_equal(left.scores, right.scores)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("is_pipeline", [False, True])
def test_groups_are_held_out_by_folds_and_by_nets(quick, table, routing, is_pipeline):
    X, Y = table
    Y = Y[["price", "kind"]]
    who = pd.Series([f"person {i}" for i in np.random.default_rng(0).integers(0, 20, len(X))])
    seen = []

    class Listening(MultiTaskNetClassifierRegressor):
        def _fit(self, given):
            seen.append((len(given.groups), len(np.unique(given.groups))))
            return super()._fit(given)

    est = Listening(**quick.get_params())
    if is_pipeline:
        est = make_pipeline(StandardScaler(), est)
    with sklearn.config_context(enable_metadata_routing=routing):
        report = sharing_report(est, X, Y, cv=4, groups=who)
    assert report.scores["fold"].nunique() == 4
    assert len(seen) == 12
    assert all(10 <= n_groups <= 18 for _, n_groups in seen)
    by_splitter = sharing_report(quick, X, Y, cv=GroupKFold(4), groups=who)
    assert by_splitter.scores["fold"].nunique() == 4


def test_groups_cannot_be_given_to_a_search(quick, table):
    X, Y = table
    search = GridSearchCV(quick, {"lr": [0.01]}, cv=2)
    with pytest.raises(ValueError, match=r"ends in one. Found GridSearchCV"):
        sharing_report(search, X, Y, cv=2, groups=np.arange(len(X)) // 2)


def test_verdicts():
    """A task with few labels lives from the labels of the others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 100))
    y = X @ rng.normal(size=100)
    Y = pd.DataFrame({"full": y + rng.normal(size=500), "few": y})
    Y["few"] = Y["few"].where(rng.random(500) < 0.2)  # as many as there are features
    est = MultiTaskNetClassifierRegressor(
        hidden_layer_sizes=(4,), activation="identity", lr=0.01, max_epochs=25,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    report = sharing_report(est, X, Y, cv=6)
    assert report.table.loc["few", "verdict"] == "sharing helps"
    assert report.table.loc["full", "verdict"] == "no difference shown"
    assert report.table.loc["few", "lower"] > 0
    # Turned round, as if the nets had changed their names.
    turned = report.scores.replace({"shared": "own", "own": "shared"})
    folds = [(np.arange(400), np.arange(400, 500))] * 6
    labelled = {name: Y[name].notna().to_numpy() for name in Y}
    table = _table(turned, labelled, folds, 0.95)
    assert table.loc["few", "verdict"] == "sharing hurts"
    assert table.loc["few", "upper"] < 0


def test_a_baseline_takes_the_place_of_the_own_nets(quick, table):
    X, Y = table
    report = sharing_report(quick, X, Y, cv=3, baseline=quick)
    assert (report.table["gain"] == 0).all()
    assert (report.table["p_value"] == 1).all()
    assert set(report.table["verdict"]) == {"no difference shown"}


def test_scoring(quick, table):
    X, Y = table
    metrics = {"sold": "roc_auc", "price": "neg_mean_absolute_error"}
    left = sharing_report(quick, X, Y, cv=3, scoring=metrics)
    right = sharing_report(quick, X, Y, cv=3, scoring=TaskScoring(metrics))
    assert set(left.table.index) == set(metrics)
    pd.testing.assert_frame_equal(left.scores, right.scores)
    train, test = next(TaskStratifiedKFold(3, random_state=0).split(X, Y))
    shared = clone(quick).fit(X[train], Y.iloc[train])
    expected = task_scorer("sold", "roc_auc")(shared, X[test], Y.iloc[test])
    scores = left.scores.set_index(["fold", "task", "model"])["score"]
    assert scores[0, "sold", "shared"] == pytest.approx(expected)
    numbers = sharing_report(quick, X, Y[["price", "size"]], cv=2, scoring="r2")
    assert list(numbers.table.index) == ["price", "size"]


def test_vectors_arrays_and_a_task_called_score(quick, table):
    X, _ = table
    Y = pd.DataFrame({"u": X[:, 0], "v": X[:, 1], "score": X[:, 2]})
    Y.iloc[:5, 0] = np.nan
    vector = clone(quick).set_params(tasks={"place": ["u", "v"]})
    report = sharing_report(vector, X, Y, cv=2)
    assert list(report.table.index) == ["place", "score"]
    assert report.table["gain"].notna().all()
    array = sharing_report(quick, X, Y.to_numpy(), cv=2)
    assert list(array.table.index) == ["y0", "y1", "y2"]
    single = sharing_report(quick, X, X[:, 0], cv=2)
    assert (single.table["gain"] == 0).all()


def test_pipelines_and_jobs(quick, table):
    X, Y = table
    pipeline = make_pipeline(StandardScaler(), quick)
    one = sharing_report(pipeline, X, Y, cv=2)
    with parallel_config("threading"):
        two = sharing_report(pipeline, X, Y, cv=2, n_jobs=2)
    pd.testing.assert_frame_equal(one.scores, two.scores)
    assert not hasattr(pipeline, "n_features_in_")


def test_kinds_and_classes_are_the_same_in_all_folds(quick):
    X = np.random.default_rng(0).normal(size=(60, 2))
    Y = pd.DataFrame({"grade": np.arange(60) // 10, "size": X[:, 0]})  # sorted by class
    quick.set_params(early_stopping=False, max_epochs=20)
    report = sharing_report(quick, X, Y, cv=KFold(3), scoring={"grade": "accuracy"})
    assert report.table.loc["grade", "shared"] == 0


def test_a_task_without_labels_in_a_fold_is_left_out_there(quick, table):
    X, Y = table
    Y = Y[["price", "size"]].copy()
    Y.loc[40:, "size"] = np.nan  # labels in the first fold alone
    Y["rare"] = Y["price"].where(Y.index >= 40)
    with pytest.warns(UserWarning, match="'size' has no label"):
        report = sharing_report(quick, X, Y, cv=KFold(3))
    size = report.table.loc["size"]
    assert size.drop("verdict").isna().all()
    assert size["verdict"] == "no difference shown"
    assert report.table.loc["price", "p_corrected"] <= 1
    rare = report.scores.query("task == 'rare'")["score"]
    assert rare.isna().sum() == 2
    assert np.isfinite(report.table.loc["rare", "lower"])


def test_one_fold_shows_nothing(quick, table):
    report = sharing_report(quick, *table, cv=ShuffleSplit(1, random_state=0))
    assert report.table[["lower", "upper", "p_value", "p_corrected"]].isna().all(axis=None)
    assert report.table["gain"].notna().all()
    assert set(report.table["verdict"]) == {"no difference shown"}


def test_repr(quick, table):
    X, Y = table
    report = sharing_report(quick, X, Y[["price", "sold"]], cv=2)
    text, html = repr(report), report._repr_html_()
    assert "Shared net against own nets, 2 tasks, 2 folds: mean gain" in text
    assert "verdict" in text
    assert "<table" in html
    assert "no difference shown" in html


def test_errors(quick, table):
    X, Y = table
    for confidence in (0, 1, 95, "high"):
        with pytest.raises(ValueError, match="`confidence` must be a number between 0 and 1"):
            sharing_report(quick, X, Y, confidence=confidence)
    for cv in (1, True, 1000):
        with pytest.raises(ValueError, match="`cv` must be a splitter, or a whole number"):
            sharing_report(quick, X, Y, cv=cv)
    with pytest.raises(ValueError, match=r"unknown task 'prize'.*Did you mean 'price'"):
        sharing_report(quick, X, Y, scoring={"prize": "r2"})
    with pytest.raises(TypeError, match="`scoring` must be None"):
        sharing_report(quick, X, Y, scoring=3)
    with pytest.raises(TypeError, match="Found DummyRegressor"):
        sharing_report(quick, X, Y, baseline=DummyRegressor())
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        sharing_report(quick, X[:-1], Y)


def test_an_error_in_a_fit_tells_which(quick, table):
    X, Y = table
    with pytest.raises(ValueError, match="`lr` must be") as raised:
        sharing_report(clone(quick).set_params(lr=-1), X, Y, cv=2)
    assert "shared net, fold=0" in raised.value.__notes__[0]


def test_declared_tasks(quick):
    X = np.random.default_rng(0).normal(size=(60, 2))
    Y = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0, "x", "y")})
    tasks = [Task("first", "regression", columns="a"), Task("b", classes=["y", "x"])]
    report = sharing_report(clone(quick).set_params(tasks=tasks), X, Y, cv=2)
    assert list(report.table.index) == ["first", "b"]
