"""Splits are the same for all models, errors are those worked out by hand, no fit is made twice."""

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from benchmarks import accuracy, accuracy_peers, accuracy_report
from benchmarks.accuracy_errors import LEAST, class_error, is_scored, number_error
from benchmarks.accuracy_models import OutOfTimeError, Plain, Tuned, limited
from benchmarks.accuracy_peers import LIBRARIES, TUNED, Categories, codes, dense, why_missing
from benchmarks.accuracy_splits import Table, fingerprint, inner_splits, n_repeats, split
from benchmarks.accuracy_tasks import by_task, verdicts
from benchmarks.recording import read_rows
from skmtl import MultiTaskNetClassifierRegressor

KINDS = {"size": "regression", "sold": "binary", "body": "multiclass"}


def mixed(n=120, **facts):
    """A number, a yes/no with gaps and three classes; words and gaps among the features."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, n))
    word = random.choice(["red", "blue", "green"], n)
    X = pd.DataFrame({"a": a, "b": b, "word": word})
    X.loc[::7, "b"] = np.nan
    X.loc[::11, "word"] = None
    sold = pd.Series(np.where(a + 0.3 * b > 0, "yes", "no"), dtype=object)
    sold[:20] = None
    Y = pd.DataFrame({"size": 10 + 3 * a + b, "sold": sold, "body": (a > 0.4) + (b > 0.4) * 1})
    return Table.make("mixed", X, Y, KINDS, **facts)


def numbers(n=80, n_tasks=2):
    random = np.random.default_rng(1)
    X = pd.DataFrame(random.standard_normal((n, 3)))
    Y = pd.DataFrame({f"y{k}": 10**k * (X[k % 3] + 0.1 * X[2]) for k in range(n_tasks)})
    return Table.make("numbers", X, Y, dict.fromkeys(Y, "regression"))


@pytest.fixture
def folder(tmp_path):
    """A catalogue of two sets."""
    entries = []
    for table in (mixed(), numbers()):
        X = table.X.rename(columns=str)
        pd.concat([X, table.Y], axis=1).to_csv(tmp_path / f"{table.name}.csv", index=False)
        tasks = [
            {"column": t, "kind": kind, "n_missing": int(table.Y[t].isna().sum())}
            for t, kind in table.tasks.items()
        ]
        entry = {"name": table.name, "file": f"{table.name}.csv", "features": list(X)}
        sizes = {"n_rows": len(X), "n_features": X.shape[1], "n_tasks": len(tasks)}
        entries.append({**entry, **sizes, "tasks": tasks})
    (tmp_path / "catalog.json").write_text(json.dumps({"datasets": entries}))
    return tmp_path


# ---- splits ------------------------------------------------------------------------------------


def test_a_split_hangs_on_the_name_and_the_repeat_alone():
    table = mixed()
    train, test = split(table, 0)
    assert fingerprint(*split(mixed(), 0)) == fingerprint(train, test)
    assert fingerprint(*split(table, 1)) != fingerprint(train, test)
    assert fingerprint(*split(replace(table, name="other"), 0)) != fingerprint(train, test)
    assert sorted([*train, *test]) == list(range(120))
    assert len(test) == 30


def test_large_sets_are_drawn_from():
    train, test = split(mixed(), 0, most=80)
    assert (len(train), len(test)) == (60, 20)
    assert not set(train) & set(test)


def test_groups_are_tested_whole_and_each_but_once():
    groups = np.repeat(np.arange(12), 10)
    table = mixed(groups=groups)
    tested = []
    for repeat in range(4):
        train, test = split(table, repeat)
        assert not set(groups[train]) & set(groups[test])
        assert len(test) == 30
        tested += sorted(set(groups[test]))
    assert sorted(tested) == list(range(12))
    for known, judged in inner_splits(table.take(train), 0):
        inner = groups[train]
        assert not set(inner[known]) & set(inner[judged])


def test_groups_of_large_tables_are_held_out_whole():
    groups = np.repeat(np.arange(20), 50)
    [(known, judged)] = inner_splits(mixed(1_000, groups=groups), 0)
    assert not set(groups[known]) & set(groups[judged])
    assert len(judged) == 250


def test_sides_of_a_given_split_are_kept_and_repeats_differ():
    given = np.arange(120) >= 80
    table = mixed(given_test=given)
    train, test = split(table, 0)
    assert not given[train].any()
    assert given[test].all()
    assert (len(train), len(test)) == (72, 24)  # 90 % of 80; a third of that
    assert set(split(table, 1)[0]) != set(train)


def test_rows_in_time_are_cut_into_blocks():
    tests = [np.sort(split(mixed(in_time=True), repeat)[1]) for repeat in range(5)]
    assert all((np.diff(test) == 1).all() for test in tests)
    assert tests[0][-1] == 119
    assert sorted(np.concatenate(tests)) == list(range(120))


def test_rare_classes_are_on_both_sides():
    X = pd.DataFrame({"a": np.arange(100.0)})
    Y = pd.DataFrame({"rare": np.arange(100) >= 96})
    table = Table.make("rare", X, Y, {"rare": "binary"})
    for repeat in range(5):
        assert Y["rare"].iloc[split(table, repeat)[1]].sum() == 1


def test_small_sets_are_split_more_often_and_searched_by_folds():
    assert [n_repeats(n) for n in (999, 1_000)] == [5, 3]
    assert len(inner_splits(mixed(), 0)) == 3
    assert len(inner_splits(mixed(1_000), 0)) == 1


# ---- errors ------------------------------------------------------------------------------------


def test_errors_of_numbers_by_hand():
    # Training mean 2. Misses 1 and -1, against 1 and 3 from the mean: sqrt(1 / 5).
    found = number_error(np.array([1, 3, np.nan]), np.array([3, 5, np.nan]), np.array([2, 6, 9.0]))
    assert found.error == pytest.approx(np.sqrt(1 / 5))
    assert np.isnan(found.log_loss)


def test_errors_of_classes_by_hand():
    known, truth = np.array([0, 1.0, np.nan]), np.array([0, 0, 1, 1, np.nan])
    second = np.array([0.2, 0.6, 0.4, 0.8, 0.5])
    found = class_error(known, truth, np.column_stack([1 - second, second]))
    loss = -np.log([0.8, 0.4, 0.4, 0.8]).mean() / np.log(2)
    assert found.log_loss == pytest.approx(loss)
    assert found.auc == pytest.approx(0.5)  # three of four pairs in order: AUC 3/4
    assert found.error == pytest.approx((loss + 0.5) / 2)


def test_the_constant_has_an_error_of_one():
    known, truth = np.array([0, 0, 1, 2.0]), np.array([0, 1, 2, 2.0])
    shares = np.tile([0.5, 0.25, 0.25], (4, 1))
    assert class_error(known, truth, shares).error == pytest.approx(1)
    assert number_error(known, truth, np.full(4, 0.75)).error == pytest.approx(1)


def test_three_classes_against_the_rest_of_those_that_are_there():
    known, truth = np.array([0, 1, 2.0]), np.array([0, 0, 2.0])
    shares = np.array([[0.6, 0.1, 0.3], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    # Of either class there is one pair in order and one not.
    assert class_error(known, truth, shares).auc == pytest.approx(1)


def test_one_class_in_the_test_is_judged_by_log_loss_alone():
    found = class_error(np.array([0, 1.0]), np.array([1.0, 1.0]), np.array([[0.5, 0.5], [0, 1.0]]))
    assert found.error == pytest.approx(0.5, abs=1e-5)
    assert np.isnan(found.auc)


def test_no_class_is_ever_impossible():
    found = class_error(np.array([0, 1.0]), np.array([1.0]), np.array([[1.0, 0.0]]))
    assert found.log_loss == pytest.approx(-np.log(LEAST) / np.log(2), rel=1e-6)


def test_what_is_not_finite_is_refused_where_there_is_a_label():
    truth = np.array([1.0, np.nan])
    assert number_error(truth, truth + 1, np.array([0, np.nan])).error > 0
    with pytest.raises(ValueError, match="1 of 1 predictions are not finite"):
        number_error(truth, truth + 1, np.array([np.nan, 0]))


@pytest.mark.parametrize(
    ("known", "truth", "scored"),
    [
        (np.arange(10.0), np.arange(5.0), True),
        (np.r_[np.arange(9.0), np.nan], np.arange(5.0), False),
        (np.arange(10.0), np.r_[np.arange(4.0), np.nan], False),
        (np.ones(10), np.arange(5.0), False),
        (np.arange(10.0), np.full(5, 4.5), False),
    ],
)
def test_tasks_that_no_model_can_be_judged_by(known, truth, scored):
    assert is_scored(known, truth) == scored


# ---- peers -------------------------------------------------------------------------------------


def installed(name):
    reason = why_missing(name)
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)))


QUICK = {
    "realmlp": {"n_epochs": 2},
    "tabm": {"n_epochs": 1, "d_block": 8, "tabm_k": 2},
    "catboost": {"iterations": 5},
}


# What pytabkit and Lightning warn of is not ours to mend.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [installed(name) for name in LIBRARIES])
def test_peers_predict_all_tasks_from_frames_with_words_and_gaps(name):
    table = mixed()
    train, test = split(table, 0)
    judged = table.take(test)
    judged.X.loc[0, "word"] = "never seen"
    model = Plain(LIBRARIES[name], 0, QUICK.get(name)).fit(table.take(train))
    found = model.predict(judged.X)
    assert {task: values.shape for task, values in found.items()} == {
        "size": (30,),
        "sold": (30, 2),
        "body": (30, 3),
    }
    assert all(np.isfinite(values).all() for values in found.values())
    np.testing.assert_allclose(found["body"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["ridge", "rf", "et", "histgb", "mlp"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_peers_learn(name):
    table = numbers()
    train, test = split(table, 0)
    row = accuracy.run_one(table, (train, test), name, 0)
    assert row.status == "ok"
    assert row.error < 0.7
    assert (row.n_train, row.n_test) == (60, 20)


def test_forests_are_joint_where_all_are_numbers_and_complete():
    table = numbers()
    assert len(Plain(LIBRARIES["rf"], 0, {"n_estimators": 2}).fit(table).parts_) == 1
    table.Y.loc[0, "y0"] = np.nan
    gap = Table.make("gap", table.X, table.Y, table.tasks)
    assert len(Plain(LIBRARIES["rf"], 0, {"n_estimators": 2}).fit(gap).parts_) == 2


def test_a_class_that_no_training_row_has_gets_no_share():
    table = mixed()
    known = table.take(np.flatnonzero(table.Y["body"] != 1))
    found = Plain(LIBRARIES["histgb"], 0).fit(known).predict(table.X)
    assert (found["body"][:, 1] == 0).all()


def test_prepared_frames_have_the_same_columns_for_new_rows():
    X = mixed().X
    new = pd.DataFrame({"a": [np.nan], "b": [1.0], "word": ["never seen"]})
    for prepare in (dense, codes, Categories, partial(Categories, marks=True, fills=True)):
        transformer = prepare()
        assert transformer.fit_transform(X).shape[1] == transformer.transform(new).shape[1]
    full = Categories(marks=True, fills=True)
    assert not full.fit_transform(X).isna().any(axis=None)
    assert full.transform(new).to_numpy().tolist() == [[X["a"].median(), 1.0, 3, 0.0]]


def test_a_search_chooses_by_column_on_training_rows():
    table = mixed()
    grid = [{"strength": 1e6}, {"strength": 1.0}]
    model = Tuned(replace(LIBRARIES["ridge"], grid=grid), 0).fit(table)
    assert set(model.chosen_.values()) == {1}
    assert model.predict(table.X).keys() == set(KINDS)
    joint = replace(LIBRARIES["rf"], grid=[{"max_depth": 1}, {}], final={"n_estimators": 3})
    chosen = Tuned(joint, 0).fit(numbers())
    assert set(chosen.chosen_.values()) == {1}
    assert len(chosen.models_[0].parts_) == 1


def test_every_grid_is_small_and_has_the_defaults():
    assert all(1 <= len(library.grid) <= 6 for library in LIBRARIES.values())
    assert all({} in library.grid or name == "ridge" for name, library in LIBRARIES.items())
    assert {"strength": 1.0} in LIBRARIES["ridge"].grid
    assert {name + TUNED for name in LIBRARIES if name != "constant"} < set(accuracy.models())


def test_missing_peers_are_named(folder, monkeypatch, capsys):
    monkeypatch.setattr(accuracy_peers, "find_spec", lambda _: None)
    assert "`xgboost` is not installed" in why_missing("xgboost tuned")
    assert why_missing("rf") is None
    rows = folder / "rows.csv"
    arguments = ["accuracy", "--data", str(folder), "--rows", str(rows), "--repeats", "1"]
    monkeypatch.setattr("sys.argv", [*arguments, "--models", "constant,xgboost,ridge"])
    accuracy.main()
    text = capsys.readouterr().out
    assert "- `xgboost`: the package `xgboost` is not installed" in text
    assert set(read_rows(rows, accuracy.Row)["model"]) == {"constant", "ridge"}


def test_out_of_time():
    with pytest.raises(OutOfTimeError), limited(0.05):
        sum(k for k in iter(int, 1))
    with limited(5.0):
        pass


# ---- ours --------------------------------------------------------------------------------------


def test_ours_predicts_as_the_estimator_does():
    table = mixed()
    train, test = split(table, 0)
    known, judged = table.take(train), table.take(test)
    net = MultiTaskNetClassifierRegressor(KINDS, random_state=0, max_epochs=2)
    found = accuracy.Ours(net).fit(known).predict(judged.X)
    np.testing.assert_allclose(found["size"], net.predict(judged.X)["size"])
    np.testing.assert_allclose(found["sold"], net.predict_proba(judged.X)["sold"])
    assert set(accuracy.OURS) < set(accuracy.models())


# ---- rows and report ---------------------------------------------------------------------------


def test_a_second_run_fits_nothing_again(folder, monkeypatch):
    fits = []

    def counted(table, parts, name, repeat, cap):
        fits.append((table.name, repeat, name))
        return run_one(table, parts, name, repeat, cap)

    run_one = accuracy.run_one
    monkeypatch.setattr(accuracy, "run_one", counted)
    rows = folder / "rows.csv"
    accuracy.run(folder, rows, ["numbers", "mixed"], ["constant"], 2)
    assert fits == [
        (name, repeat, "constant") for repeat in (0, 1) for name in ("numbers", "mixed")
    ]
    accuracy.run(folder, rows, ["numbers", "mixed"], ["constant", "ridge"], 2)
    assert [name for *_, name in fits] == ["constant"] * 4 + ["ridge"] * 4
    got = read_rows(rows, accuracy.Row)
    assert got["status"].eq("ok").all()
    assert got[got["model"] == "constant"]["error"].tolist() == [1.0] * 4
    assert got.groupby(["dataset", "repeat"])["split"].nunique().eq(1).all()
    assert [len(text.split()) for text in got["errors"]] == [2, 3, 2, 3] * 2


def test_rows_of_other_splits_are_refused(folder):
    rows = folder / "rows.csv"
    accuracy.run(folder, rows, ["mixed"], ["constant"], 1)
    with pytest.raises(ValueError, match="another split of 'mixed', repeat 0"):
        accuracy.run(folder, rows, ["mixed"], ["ridge"], 1, most=60)


def test_failures_are_rows_and_lateness_is_not_tried_again(folder, monkeypatch):
    class Broken:
        def __init__(self, error):
            self.error = error

        def fit(self, table):
            raise self.error

    made = {
        "late": lambda *_: Broken(OutOfTimeError()),
        "broken": lambda *_: Broken(TypeError("no\nway")),
    }
    monkeypatch.setattr(accuracy, "models", lambda: made)
    rows = folder / "rows.csv"
    accuracy.run(folder, rows, ["mixed"], ["late", "broken"], 2)
    got = read_rows(rows, accuracy.Row)
    assert list(zip(got["model"], got["repeat"], got["status"], strict=True)) == [
        ("late", 0, "n/a (time)"),
        ("broken", 0, "error: TypeError: no way"),
        ("broken", 1, "error: TypeError: no way"),
    ]
    assert got["error"].isna().all()


def test_nan_predictions_are_a_failure_with_the_task(monkeypatch):
    class Lost(Plain):
        def predict(self, X):
            return super().predict(X) | {"size": np.full(len(X), np.nan)}

    monkeypatch.setattr(
        accuracy, "models", lambda: {"lost": lambda *_: Lost(LIBRARIES["constant"], 0)}
    )
    row = accuracy.run_one(mixed(), split(mixed(), 0), "lost", 0)
    assert row.status == "error: ValueError: task 'size': 30 of 30 predictions are not finite"


def study_of(errors, base="ours"):
    """Rows with two repeats, from a mapping (set, model) -> error or status."""
    rows = []
    for (name, model), error in errors.items():
        for repeat in range(2):
            bad = isinstance(error, str)
            value = np.nan if bad else error + 0.001 * repeat * (model == base)
            row = accuracy.Row(
                name, repeat, model, error if bad else "ok", value, 2, 1, 2, 1, 75, 25, "x"
            )
            rows.append(replace(row, errors=f"{value}", log_losses="nan", aucs="nan"))
    task = {"kind": "regression", "n_missing": 0}
    entry = {"n_rows": 100, "n_features": 2, "n_tasks": 1, "tasks": [task]}
    entries = dict.fromkeys((row.dataset for row in rows), entry)
    entries["a"] = {**entry, "tasks": [{**task, "n_missing": 10}]}
    reasons = dict.fromkeys([*dict.fromkeys(row.model for row in rows), "absent"], "not run")
    frame = pd.DataFrame([vars(row) for row in rows])
    return accuracy_report.Study(frame, entries, reasons, base)


@pytest.fixture
def study():
    errors = {}
    for k, name in enumerate("abcdef"):
        errors |= {(name, "ours"): 0.5 + 0.01 * k, (name, "rf"): 0.6, (name, "rf tuned"): 0.55}
        errors[name, "histgb"] = 0.7 if name != "f" else "error: x"
        errors[name, "tabm"] = 0.4 if name == "a" else "n/a (time)"
    return study_of(errors)


def test_ranks_leave_out_what_ran_on_few_sets(study):
    assert study.lacking(study.models) == ["tabm"]
    ranks = study.ranks(study.defaults)
    assert list(ranks.index) == list("abcde")
    assert ranks.mean().to_dict() == {"ours": 1.0, "rf": 2.0, "histgb": 3.0}
    assert study.ranks(study.models)["rf tuned"].tolist() == [2.0] * 4 + [2.0]
    assert [study.verdict("a", model) for model in ("rf", "tabm", "absent")] == [1, -1, 0]


def test_the_report_has_all_rows_the_losing_ones_too(study):
    text = "\n\n".join(accuracy_report.report(study, [0.0]))
    assert "- `absent`: not run" in text
    assert "- f, repeat 1, `histgb`: error: x" in text
    assert "| a | 0.500 | 0.600 | 0.700 | **0.400** |" in text
    assert "| f | **0.550** | 0.600 | n/a (error) | n/a (time) |" in text
    assert "| tabm | 0/0/1 | 0 of 1 |" in text
    assert "Not ranked, for too few sets: tabm" in text
    assert "1 sets lack labels" in text


def test_critical_difference_of_a_published_table():
    # Demsar 2006: five classifiers, ten sets, q = 2.728.
    expected = 2.728 * np.sqrt(5 * 6 / 60)
    assert accuracy_report.critical_difference(5, 10) == pytest.approx(expected, rel=1e-3)


def test_bars_join_ranks_within_the_distance():
    ranks = np.array([1.0, 1.5, 2.4, 4.0])
    assert accuracy_report.joined_ranks(ranks, 1.0) == [(0, 1), (1, 2)]
    assert accuracy_report.joined_ranks(ranks, 0.3) == []


def test_the_figure_is_drawn(study, tmp_path):
    accuracy_report.figure(study, tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").stat().st_size > 5_000


def test_a_table_compares_over_the_repeats_that_its_models_share(study):
    """The tuned forest has one repeat more; with others it is judged by those that they have."""
    extra = study.rows[(study.rows["dataset"] == "a") & (study.rows["model"] == "rf tuned")]
    more = replace(study, rows=pd.concat([study.rows, extra.assign(repeat=5, error=0.1)[:1]]))
    assert more.compared(["rf tuned"]).loc["a", "rf tuned"] == pytest.approx(1.2 / 3)
    assert more.compared(["ours", "rf tuned"]).loc["a", "rf tuned"] == pytest.approx(0.55)
    pd.testing.assert_frame_equal(more.means, study.means)
    assert more.compared(["ours", "tabm"]).loc["b"].isna().tolist() == [False, True]


def test_sets_of_one_model_alone(study):
    assert study.on("histgb").sets == list("abcde")
    assert study.on("tabm").sets == ["a"]


def test_tasks_are_counted_against_nets_of_their_own():
    """By hand: of three tasks on two repeats one is worse, one better, one about the same."""
    errors = {
        "skmtl own nets": ["1.0 0.5 0.4 nan", "1.0 0.5 0.4 nan"],
        "skmtl default": ["1.2 0.4 0.4 nan", "1.0 0.4 0.41 nan"],
    }
    rows = pd.DataFrame(
        [
            {"dataset": "a", "repeat": repeat, "model": model, "errors": text}
            for model, texts in errors.items()
            for repeat, text in enumerate(texts)
        ]
    ).assign(n_test=25, n_train=75)
    study = SimpleNamespace(used=rows, models=list(errors))
    text = by_task(study)
    assert "3 tasks of 1 sets" in text
    assert "The 3 of them with several repeats are tested" in text
    # Without spread the second task is better, whatever the correction.
    assert "| skmtl default | 1 | 1 | +0.0125 | +0.10 (a, task 1) | 0 / 1 | 0 / 1 |" in text


def test_verdicts_by_hand():
    """Three repeats each; t with 2 degrees of freedom has to be above 4.30."""
    index = pd.MultiIndex.from_product([["a"], [0, 1, 2], [0, 1, 2]])
    index.names = ["dataset", "task", "repeat"]
    values = [0.10, 0.11, 0.12, -0.10, -0.11, -0.12, 0.1, -0.1, 0.2]
    found = verdicts(pd.Series(values, index), pd.Series({"a": 1 / 3}))
    t = 0.11 / (0.01 * np.sqrt(1 / 3 + 1 / 3))
    p = 2 * scipy.stats.t.sf(t, 2)
    assert 3 * p < 0.05
    assert found["p"].tolist() == found["p, Holm"].tolist() == [1, -1, 0]
    single = pd.Series(values, index).xs(0, level="repeat", drop_level=False)
    assert verdicts(single, pd.Series({"a": 1 / 3})).empty
