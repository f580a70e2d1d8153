"""Scores are those worked out by hand or by scikit-learn, splits are those of the protocols."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks import protocols, protocols_report
from benchmarks.accuracy_splits import Table
from benchmarks.protocols import OUT_OF_TIME, Plan, Row, run
from benchmarks.protocols_parts import (
    MULAN,
    PARTS,
    PooledRidge,
    arrmse,
    explained_variance,
    mean_auc,
    models,
    mulan_split,
    school_split,
    tox21_split,
)
from benchmarks.recording import read_rows


def regressions(targets, name="numbers", **facts):
    """A table of numbers with two random columns of X."""
    Y = pd.DataFrame(targets)
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((len(Y), 2)), columns=["a", "b"])
    return Table.make(name, X, Y, dict.fromkeys(Y, "regression"), **facts)


def schools(sizes=(8, 12, 20)):
    """Each row has the label of one school: 10, 20, ... plus a slope that all have in common."""
    school = np.repeat(np.arange(len(sizes)), sizes)
    table = regressions({f"s{k}": np.zeros(len(school)) for k in range(len(sizes))}, "schools")
    marks = 10 * (school + 1) + 3 * table.X["a"]
    columns = {f"s{k}": marks.where(school == k) for k in range(len(sizes))}
    return replace(table, Y=pd.DataFrame(columns))


@pytest.fixture
def folder(tmp_path):
    """A catalogue of one set of Mulan and one of another source."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.standard_normal((40, 3)), columns=["a", "b", "c"])
    frame["y0"], frame["y1"] = frame["a"] + 0.1 * frame["c"], 5 * frame["b"]
    entries = []
    for name, source in (("little", MULAN), ("other", "elsewhere")):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        tasks = [{"column": f"y{k}", "kind": "regression", "n_missing": 0} for k in range(2)]
        entry = {"name": name, "file": f"{name}.csv", "features": ["a", "b", "c"], "tasks": tasks}
        sizes = {"n_rows": 40, "n_features": 3, "n_tasks": 2, "original_source": source}
        entries.append({**entry, **sizes})
    (tmp_path / "catalog.json").write_text(json.dumps({"datasets": entries}))
    return tmp_path


# ---- scores ------------------------------------------------------------------------------------


def test_arrmse_by_hand():
    known = regressions({"y": [0.0, 2.0], "z": [10.0, 10.0]})  # means 1 and 10
    judged = regressions({"y": [1.0, 3.0], "z": [8.0, 12.0]})
    found = arrmse(known, judged, {"y": np.array([1.0, 2.0]), "z": np.array([8.0, 10.0])})
    # y: errors 0 + 1, of the mean 0 + 4; z: errors 0 + 4, of the mean 4 + 4.
    np.testing.assert_allclose(found.errors, [1, 4])
    np.testing.assert_allclose(found.bases, [4, 8])
    assert found.score == pytest.approx((0.5 + np.sqrt(0.5)) / 2)


def test_arrmse_of_the_mean_of_the_training_rows_is_one():
    known, judged = regressions({"y": [0.0, 4.0]}), regressions({"y": [5.0, 9.0]})
    assert arrmse(known, judged, {"y": np.full(2, 2.0)}).score == 1


def test_arrmse_refuses_a_target_that_the_mean_predicts():
    known, judged = regressions({"y": [0.0, 2.0]}), regressions({"y": [1.0, 1.0]})
    with pytest.raises(ValueError, match="predicts the test rows of a task exactly"):
        arrmse(known, judged, {"y": np.zeros(2)})


def test_pooled_arrmse_is_that_of_all_squares():
    rows = pd.DataFrame({"errors": ["1 2", "3 6"], "bases": ["4 8", "12 8"]})
    # By task: 4 / 16 and 8 / 16.
    found = protocols_report.pooled_arrmse(rows)
    assert found == pytest.approx((0.5 + np.sqrt(0.5)) / 2)


def test_explained_variance_by_hand_and_by_scikit_learn():
    judged = regressions({"s0": [1.0, 3.0, np.nan, np.nan], "s1": [np.nan, np.nan, 6.0, 10.0]})
    predicted = {"s0": np.array([2.0, 3, 99, 99]), "s1": np.array([99, 99, 6.0, 8])}
    found = explained_variance(judged, judged, predicted)
    # Errors 1 + 4; around the mean 5 of all: 16 + 4 + 1 + 25; around the schools' 2 and 8: 2 + 8.
    assert found.score == pytest.approx(100 * (1 - 5 / 46))
    assert found.score == pytest.approx(100 * r2_score([1, 3, 6, 10], [2, 3, 6, 8]))
    by_school = [r2_score([1, 3], [2, 3]), r2_score([6, 10], [6, 8])]
    np.testing.assert_allclose(found.others, [50, 100 * np.mean(by_school)])


def test_mean_auc_leaves_out_missing_labels_and_tasks_of_one_class():
    Y = pd.DataFrame({"p": [0, 1, np.nan, 1, 0], "q": [1, 0, 1, 0, 1], "r": [1, 1, 1, 1, np.nan]})
    table = Table.make("t", pd.DataFrame({"a": range(5)}), Y, dict.fromkeys(Y, "binary"))
    table = replace(table, classes=dict.fromkeys(Y, np.array([0.0, 1.0])))
    shares = np.array([0.2, 0.9, 0.1, 0.3, 0.4])
    both = np.column_stack([1 - shares, shares])
    found = mean_auc(table, table, dict.fromkeys(Y, both))
    p = roc_auc_score([0, 1, 1, 0], shares[[0, 1, 3, 4]])
    q = roc_auc_score(Y["q"], shares)
    assert p == 0.75  # three of four pairs
    assert found.score == pytest.approx((p + q) / 2)
    np.testing.assert_allclose(found.others, [p, q, np.nan])


def test_predictions_that_are_not_finite_are_refused():
    table = regressions({"y": [0.0, 2.0]})
    with pytest.raises(ValueError, match="not finite"):
        arrmse(table, table, {"y": np.array([0, np.nan])})


# ---- splits ------------------------------------------------------------------------------------


def test_a_quarter_of_each_school_is_tested():
    table = schools()
    train, test = school_split(table, 0)
    assert sorted([*train, *test]) == list(range(40))
    assert (~np.isnan(table.take(test).targets)).sum(axis=0).tolist() == [2, 3, 5]
    assert set(test) != set(school_split(table, 1)[1])
    np.testing.assert_array_equal(test, school_split(schools(), 0)[1])


def test_a_school_split_wants_one_label_a_row():
    with pytest.raises(ValueError, match="exactly one task"):
        school_split(regressions({"y": [1.0, 2.0], "z": [1.0, np.nan]}), 0)


def test_tox21_leaves_a_tenth_unused():
    train, test = tox21_split(regressions({"y": np.arange(50.0)}), 0)
    assert (len(train), len(test), len({*train, *test})) == (40, 5, 45)


def test_each_row_is_in_one_fold_and_a_given_split_is_kept():
    table = regressions({"y": np.arange(49.0)})
    folds = [mulan_split(table, repeat) for repeat in range(10)]
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(49))
    assert all(not set(train) & set(test) and len(train) + len(test) == 49 for train, test in folds)
    given = np.arange(49) >= 40
    train, test = mulan_split(replace(table, given_test=given), 0)
    assert given[test].all()
    assert len(train) == 40
    assert PARTS["mulan"].n_repeats({"split_column": "split"}) == 1


# ---- models ------------------------------------------------------------------------------------


def test_pooled_ridge_is_one_ridge_with_an_intercept_a_school():
    table = schools()
    found = PooledRidge().fit(table).predict(table.X)
    school = np.nonzero(~np.isnan(table.targets))[1]
    X = np.hstack([StandardScaler().fit_transform(table.X), np.eye(3)[school]])
    marks = np.nansum(table.targets, axis=1)
    expected = Ridge().fit(X, marks).predict(X)
    own = np.column_stack([found[task] for task in table.tasks])[np.arange(40), school]
    np.testing.assert_allclose(own, expected)
    assert explained_variance(table, table, found).score > 90


@pytest.mark.parametrize("name", ["skmtl default", "skmtl independent"])
def test_ours_are_made_from_kinds_and_a_seed(name):
    estimator = models()[name]({"y": "regression"}, 3).estimator
    assert estimator.random_state == 3
    assert (estimator.sharing == "independent") == (name == "skmtl independent")


def test_every_part_names_models_that_there_are():
    assert all(set(part.models) <= set(models()) for part in PARTS.values())


# ---- runs --------------------------------------------------------------------------------------


def test_no_fit_is_made_twice_and_the_report_has_ours_and_theirs(folder, tmp_path):
    path, plan = tmp_path / "rows.csv", Plan(["mulan"], models=["ridge", "rf"], repeats=2)
    run(folder, path, replace(plan, models=["ridge"]))
    run(folder, path, plan)
    rows = read_rows(path, Row)
    assert rows["model"].value_counts().to_dict() == {"ridge": 2, "rf": 2}
    assert set(rows["dataset"]) == {"little"}
    assert (rows["status"] == "ok").all()
    assert rows.loc[rows["model"] == "ridge", "score"].max() < 0.2
    before = path.read_text()
    run(folder, path, plan)
    assert path.read_text() == before
    text = "\n".join(protocols_report.report(rows, protocols.catalog(folder), [0.0]))
    assert "(2 of 10)" in text
    assert "| set | rows | rf | ridge | *ST* | *MORF* |" in text
    assert protocols_report.MEMORY in text


def test_what_fails_or_takes_too_long_is_a_row(folder, tmp_path, monkeypatch):
    class Broken:
        def __init__(self, error):
            self.error = error

        def fit(self, table):
            raise self.error

    def made(error, _tasks, _seed):
        return Broken(error)

    late = partial(made, protocols.OutOfTimeError())
    monkeypatch.setattr(
        protocols, "models", lambda: {"rf": late, "ridge": partial(made, ValueError("no good"))}
    )
    path = tmp_path / "rows.csv"
    run(folder, path, Plan(["mulan"], models=["ridge", "rf"], repeats=2))
    rows = read_rows(path, Row)
    # What was late once is not tried again.
    assert rows.loc[rows["model"] == "rf", "status"].tolist() == [OUT_OF_TIME]
    assert (
        rows.loc[rows["model"] == "ridge", "status"].tolist() == ["error: ValueError: no good"] * 2
    )
    assert rows["score"].isna().all()
    assert "no good" in protocols_report.failures(rows)


def test_rows_of_another_split_are_refused(folder, tmp_path):
    path = tmp_path / "rows.csv"
    run(folder, path, Plan(["mulan"], models=["ridge"], repeats=1))
    rows = read_rows(path, Row)
    rows["split"] = "00000000"
    rows.to_csv(path, index=False)
    with pytest.raises(ValueError, match="another split"):
        run(folder, path, Plan(["mulan"], models=["rf"], repeats=1))


# ---- published figures -------------------------------------------------------------------------


def test_every_published_figure_says_where_it_is_from_and_how_far_it_was_checked():
    known = {protocols_report.READ, protocols_report.SECOND_HAND, protocols_report.MEMORY}
    for figure in (*protocols_report.SCHOOL, *protocols_report.TOX21):
        assert figure.source
        assert figure.checked in known
