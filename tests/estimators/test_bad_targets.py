"""Targets that lack something, and targets that cannot be learned."""

import datetime as dt
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.model_selection import KFold, cross_validate

from skmtl import (
    MultiTaskNetClassifier,
    MultiTaskNetClassifierRegressor,
    MultiTaskNetRegressor,
)
from skmtl.metrics import TaskScoring
from skmtl.tasks import Task, TaskWarning
from tests.oracle import WORDS

N = 40
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, 3))
NUMBER = X[:, 0] + 0.1 * RANDOM.normal(size=N)
WORD = np.where(X[:, 1] > 0, "yes", "no").astype(object)
GAP = np.arange(N) % 4 == 1
Y = pd.DataFrame({"size": NUMBER, "word": WORD})


def net(cls=MultiTaskNetClassifierRegressor, **params):
    return cls(
        **{
            "hidden_layer_sizes": (4,),
            "max_epochs": 2,
            "early_stopping": False,
            "random_state": 0,
            **params,
        }
    )


def fails(y, match, error=ValueError, cls=MultiTaskNetClassifierRegressor, **params):
    """Fitting is an error of this type and text, and leaves an unfitted estimator."""
    model = net(cls, **params)
    with pytest.raises(error, match=match):
        model.fit(X, y)
    assert not hasattr(model, "tasks_")


def unlabelled(rows):
    """The targets without the labels of some rows."""
    return Y.mask(np.column_stack([rows, rows]))


# ---- tasks that cannot be learned --------------------------------------------------------------

UNLABELLED = {
    "float": np.full(N, np.nan),
    "object": pd.Series([None] * N, dtype=object),
    "string": pd.array([None] * N, dtype="string"),
    "boolean": pd.array([None] * N, dtype="boolean"),
    "Int64": pd.array([None] * N, dtype="Int64"),
    "category": pd.Categorical([None] * N, categories=["p", "q"]),
}


@pytest.mark.parametrize("cells", UNLABELLED.values(), ids=UNLABELLED.keys())
def test_task_without_a_label_is_predicted_as_missing(cells):
    y = Y.assign(void=cells)
    with pytest.warns(TaskWarning, match="Task 'void' has no label: it will be predicted as"):
        model = net().fit(X, y)
    predicted = model.predict(X)
    assert predicted["void"].isna().all()
    numeric = {"float", "Int64"}
    if y["void"].dtype.name not in numeric | {"float64"}:
        assert predicted["void"].dtype == y["void"].dtype
    scores = TaskScoring()(model, X, y)
    assert np.isnan(scores["void"])
    assert scores["score"] == pytest.approx((scores["size"] + scores["word"]) / 2)


def test_task_without_a_label_does_not_change_the_others():
    with pytest.warns(TaskWarning):
        with_void = net(sharing="independent").fit(X, Y.assign(void=np.nan))
    assert with_void.predict(X)[["size", "word"]].notna().all(axis=None)
    assert np.isfinite(with_void.history_["train_loss"]).all()


@pytest.mark.parametrize(
    "y",
    [
        np.column_stack([NUMBER, np.full(N, np.nan)]),
        pl.DataFrame({"size": NUMBER, "void": [None] * N}),
        pl.DataFrame({"size": NUMBER, "void": pl.Series([None] * N, dtype=pl.String)}),
        pa.table({"size": NUMBER, "void": [None] * N}),
        torch.tensor(np.column_stack([NUMBER, np.full(N, np.nan)])),
        np.ma.array(np.column_stack([NUMBER, NUMBER]), mask=[[False, True]] * N),
    ],
    ids=["array", "polars null", "polars string", "pyarrow null", "tensor", "masked"],
)
def test_task_without_a_label_in_other_containers(y):
    with pytest.warns(TaskWarning, match="has no label"):
        predicted = net().fit(X, y).predict(X)
    assert type(predicted) is (np.ndarray if isinstance(y, np.ma.MaskedArray) else type(y))
    cells = predicted.to_pandas() if isinstance(predicted, pl.DataFrame | pa.Table) else predicted
    missing = pd.isna(np.asarray(cells, dtype=object))
    np.testing.assert_array_equal(missing, [[False, True]] * N)


@pytest.mark.parametrize(
    ("declaration", "cls"),
    [
        ({"void": "binary"}, MultiTaskNetClassifierRegressor),
        ({"void": Task("void", "binary", classes=[0, 1])}, MultiTaskNetClassifierRegressor),
        (None, MultiTaskNetRegressor),
    ],
)
def test_declared_task_without_a_label(declaration, cls):
    y = Y[["size"]].assign(void=np.nan)
    with pytest.warns(TaskWarning, match="Task 'void' has no label"):
        predicted = net(cls, tasks=declaration).fit(X, y).predict(X)
    assert predicted["void"].isna().all()
    assert predicted["size"].notna().all()


@pytest.mark.parametrize("value", ["x", 1, True])
def test_class_task_with_one_class_is_always_predicted(value):
    y = Y.assign(only=value)
    with pytest.warns(TaskWarning, match=re.escape(f"Task 'only' has one class only, {value!r}")):
        model = net().fit(X, y)
    predicted = model.predict(X)["only"]
    assert predicted.dtype == y["only"].dtype
    assert (predicted == value).all()
    assert model.classes_["only"].tolist() == [value]
    np.testing.assert_array_equal(model.predict_proba(X)["only"], np.ones((N, 1)))


def test_regression_task_with_one_value_is_nearly_predicted():
    model = net(max_epochs=200, lr=0.02).fit(X, Y.assign(flat=2.5))
    np.testing.assert_allclose(model.predict(X)["flat"], 2.5, atol=0.3)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("sharing", ["hard", "independent"])
def test_rows_without_any_label_are_as_good_as_absent(sharing, early_stopping):
    y = unlabelled(GAP)
    params = {"sharing": sharing, "early_stopping": early_stopping, "validation_fraction": 0.3}
    whole = net(**params).fit(X, y)
    part = net(**params).fit(X[~GAP], y[~GAP])
    pd.testing.assert_frame_equal(whole.predict(X), part.predict(X))
    for name, values in whole.predict_proba(X).items():
        np.testing.assert_array_equal(values, part.predict_proba(X)[name])


@pytest.mark.parametrize(
    "y",
    [
        pd.DataFrame({"a": [np.nan] * N, "b": [None] * N}),
        np.full(N, np.nan),
        np.full((N, 2), np.nan),
        pl.DataFrame({"a": [None] * N}),
        [None] * N,
        np.ma.array(NUMBER, mask=True),
    ],
    ids=["frame", "1-D", "2-D", "polars", "list", "masked"],
)
def test_no_label_at_all_is_an_error(y):
    fails(y, "y has no label at all.*At least one task must have labelled rows")


MISSING = {
    "size": [None, np.nan, pd.NA, pd.NaT, float("nan"), np.float32("nan")],
    "word": [None, np.nan, pd.NA, pd.NaT],
}


@pytest.mark.parametrize(
    ("column", "missing"), [(name, cell) for name, cells in MISSING.items() for cell in cells]
)
def test_every_way_to_say_missing_is_the_same(column, missing):
    expected = net().fit(X, Y.assign(**{column: Y[column].mask(GAP)})).predict(X)
    cells = [missing if gap else cell for cell, gap in zip(Y[column], GAP, strict=True)]
    y = Y.assign(**{column: pd.Series(cells, dtype=object)})
    predicted = net().fit(X, y).predict(X)
    np.testing.assert_array_equal(predicted["size"], expected["size"])
    assert predicted["word"].tolist() == expected["word"].tolist()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.ma.masked])
def test_every_way_to_say_missing_in_a_list_of_rows(missing):
    expected = net().fit(X, unlabelled(GAP)).predict(X)
    rows = [
        [missing, missing] if gap else row
        for gap, row in zip(GAP, Y.to_numpy().tolist(), strict=True)
    ]
    predicted = net().fit(X, rows).predict(X)
    np.testing.assert_array_equal(predicted[:, 0].astype(float), expected["size"])
    assert predicted[:, 1].tolist() == expected["word"].tolist()


# ---- cells that are no targets -----------------------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize(
    "make",
    [
        lambda cells: pd.DataFrame({"y0": cells, "word": WORD}),
        lambda cells: pd.DataFrame({"y0": pd.Series(cells, dtype=object), "word": WORD}),
        lambda cells: np.column_stack([cells, cells]),
        lambda cells: [[cell, "a"] for cell in cells],
        lambda cells: pl.DataFrame({"y0": cells}),
        lambda cells: torch.tensor(np.column_stack([cells])),
    ],
    ids=["frame", "objects", "array", "rows", "polars", "tensor"],
)
def test_infinite_target_is_an_error_that_names_the_column(make, value):
    fails(make(np.where(GAP, value, NUMBER)), "Column 'y0' of y contains infinity in 10 rows")


DATES = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(N)]
TIMES = {
    "datetime": pd.to_datetime(DATES),
    "zoned": pd.to_datetime(DATES).tz_localize("UTC"),
    "duration": pd.to_timedelta(np.arange(N), "D"),
    "period": pd.PeriodIndex(DATES, freq="D"),
    "dates": pd.Series(DATES, dtype=object),
    "timestamps": pd.Series(list(pd.to_datetime(DATES)), dtype=object),
    "arrow": pd.array(DATES, dtype=pd.ArrowDtype(pa.date32())),
}


@pytest.mark.parametrize("cells", TIMES.values(), ids=TIMES.keys())
def test_dates_are_an_error(cells):
    fails(Y.assign(when=cells), "Column 'when' of y holds dates or durations. Convert it")


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_dates_of_other_frames_are_an_error(make):
    fails(make({"when": DATES}), "Column 'when' of y holds dates or durations")


@pytest.mark.parametrize("dtype", [complex, object])
def test_complex_targets_are_an_error(dtype):
    cells = pd.Series(NUMBER + 1j).astype(dtype)
    fails(Y.assign(wave=cells), "Complex data not supported: column 'wave' of y")


def test_cells_that_are_lists_are_an_error():
    fails(Y.assign(box=[[1, 2]] * N), r"Task 'box'.*column 'box'.*Found \[1, 2\]", TypeError)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ([[1.0, 2.0]] * (N - 1) + [[1.0]], r"same length. Found lengths \[1, 2\]"),
        ([[1.0, 2.0]] * (N - 1) + [1.0], r"Found lengths \[2\] and single cells"),
        (np.zeros((N, 2, 2)), r"Found shape \(40, 2, 2\)"),
        (np.float64(1), r"Found shape \(\)"),
        (None, "requires y to be passed, but the target y is None"),
        (pd.DataFrame(index=range(N)), "at least one column. Found 0"),
        ({}, "at least one column. Found an empty dict"),
        ({"a": np.zeros((N, 2))}, "must be one column. Found 2 columns under 'a'"),
        (NUMBER[:-1], r"inconsistent numbers of samples: \[40, 39\]"),
    ],
    ids=[
        "ragged",
        "mixed",
        "3-D",
        "scalar",
        "None",
        "no column",
        "empty dict",
        "wide dict",
        "short",
    ],
)
def test_shapes_that_are_no_table_are_an_error(y, match):
    fails(y, match)


def test_sparse_targets_are_an_error():
    from scipy import sparse

    fails(sparse.csr_array(np.eye(N)), "Sparse targets are not supported.*Pass a dense array")


@pytest.mark.parametrize("names", [["a", "a"], ["1", 1]])
def test_doubled_column_names_are_an_error(names):
    y = pd.DataFrame(np.column_stack([NUMBER, NUMBER]), columns=names)
    fails(y, rf"columns of y must have different names. Found twice: \['{names[0]}'\]")


# ---- declarations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "held"),
    [
        (WORD, f"{WORDS} values such as '(yes|no)'"),
        (X[:, 0] > 0, "bool values such as (True|False)"),
        (pd.Categorical([1, 2] * (N // 2)), "category values such as 1"),
    ],
)
@pytest.mark.parametrize("params", [{"tasks": {"c": "regression"}}, {"cls": MultiTaskNetRegressor}])
def test_words_declared_a_regression_are_an_error(cells, held, params):
    fails(pd.DataFrame({"c": cells}), f"Task 'c' .* but column 'c' holds {held}", **params)


@pytest.mark.parametrize("kind", ["classification", "binary", "multiclass"])
def test_fractions_declared_classes_are_an_error(kind):
    fails(Y, "Task 'size' .* column 'size' holds numbers with fractions", tasks={"size": kind})


def test_fractions_for_the_classifier_are_an_error():
    fails(Y, "Unknown label type: continuous. Task 'size'", cls=MultiTaskNetClassifier)


def test_three_classes_declared_binary_are_an_error():
    y = pd.DataFrame({"k": np.arange(N) % 3})
    fails(y, "Task 'k' is declared as binary, but column 'k' has 3", tasks={"k": "binary"})


def test_unknown_column_is_an_error_with_a_suggestion():
    fails(Y, "y has no column 'sise'.*Did you mean 'size'", tasks={"sise": "regression"})
    fails(Y, "Task 'box': y has no column 'wrod'.*'word'", tasks={"box": ["size", "wrod"]})
    fails(NUMBER, r"y has no column 3. Its columns are \['y'\]", tasks={3: "regression"})


def test_column_read_by_two_tasks_is_an_error():
    tasks = [Task("p", columns=["size"]), Task("q", "regression", columns=["size", "word"])]
    fails(Y, r"Column 'size' of y must be read by one task.*by \['p', 'q'\]", tasks=tasks)


def test_two_tasks_of_one_name_are_an_error():
    fails(Y, "Two tasks are called 'word'", tasks=[Task("word", columns=["size"])])


def test_kind_with_a_typo_is_an_error_with_a_suggestion():
    fails(Y, "Task 'size'.*'regresion'. Did you mean 'regression'", tasks={"size": "regresion"})
    with pytest.raises(ValueError, match=r"Task 'word'.*'binray'. Did you mean 'binary'"):
        Task("word", "binray")


@pytest.mark.parametrize("tasks", [3, ["regression", "binary"], {"size": 3}])
def test_declarations_of_another_type_are_an_error(tasks):
    fails(Y, "a mapping such as|a declaration must be a kind", TypeError, tasks=tasks)


def test_label_outside_the_declared_classes_is_an_error():
    tasks = [Task("word", classes=["no", "maybe"])]
    fails(Y, r"Task 'word': column 'word' holds classes .*: \['yes'\]. Known are", tasks=tasks)


# ---- later rows --------------------------------------------------------------------------------

UNSEEN = r"Task 'word': column 'word' holds classes that were not seen before: \['new'\]"


def test_unseen_class_in_validation_rows_is_an_error():
    with pytest.raises(ValueError, match=UNSEEN):
        net().fit(X, Y, X_val=X, y_val=Y.assign(word="new"))


def test_unseen_class_in_partial_fit_is_an_error_and_changes_nothing():
    model = net().partial_fit(X, Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=UNSEEN):
        model.partial_fit(X, Y.assign(word="new"))
    pd.testing.assert_frame_equal(model.predict(X), before)


def test_other_columns_in_validation_rows_are_an_error():
    with pytest.raises(ValueError, match=r"the columns seen in fit, \['size', 'word'\]. Found"):
        net().fit(X, Y, X_val=X, y_val=Y.rename(columns={"size": "length"}))
    with pytest.raises(ValueError, match=r"the 2 columns seen in fit.*Found 1 columns"):
        net().fit(X, Y, X_val=X, y_val=Y[["size"]])


def test_infinite_target_in_validation_rows_is_an_error():
    with pytest.raises(ValueError, match="Column 'size' of y contains infinity in 40 rows"):
        net().fit(X, Y, X_val=X, y_val=Y.assign(size=np.inf))


def test_words_for_a_regression_in_later_rows_are_an_error():
    with pytest.raises(ValueError, match=r"Task 'size' is a regression, but .* holds 'big'"):
        net().partial_fit(X, Y).partial_fit(X, Y.assign(size="big"))


def test_class_that_only_scoring_meets_is_no_error():
    model = net().fit(X, Y)
    y = Y.assign(word=Y["word"].mask(GAP, "new"))
    scores = TaskScoring({"word": "accuracy"})(model, X, y)
    hits = (model.predict(X)["word"] == y["word"]).mean()
    assert scores["word"] == pytest.approx(hits)


def test_columns_of_later_rows_may_come_in_another_order():
    model = net().fit(X, Y)
    assert model.score(X, Y[["word", "size"]]) == model.score(X, Y)


def test_labels_may_be_missing_in_later_rows():
    model = net().partial_fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, Y.assign(word=None))
    assert model.predict(X).notna().all(axis=None)


def test_task_that_gets_its_first_label_in_a_later_part_is_predicted():
    model = net().partial_fit(X, Y.assign(size=np.nan))  # no warning: labels may come
    assert model.predict(X)["size"].isna().all()
    model.partial_fit(X, Y)
    assert model.predict(X)["size"].notna().all()


# ---- tasks without a label, beyond predict -----------------------------------------------------


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")
@pytest.mark.parametrize(
    "cells",
    [
        np.where(np.arange(N) < 20, NUMBER, np.nan),
        pd.Categorical(np.where(np.arange(N) < 20, WORD, None), categories=["no", "yes"]),
        np.where(np.arange(N) < 20, WORD, None),
    ],
    ids=["regression", "category", "words"],
)
def test_task_that_training_rows_never_label_is_left_out_of_scores(cells):
    y = Y[["size"]].assign(other=cells)
    results = cross_validate(net(), X, y, cv=KFold(2), scoring=TaskScoring(), error_score="raise")
    assert np.isnan(results["test_other"]).all()  # one half cannot learn it, the other not judge
    np.testing.assert_array_equal(results["test_score"], results["test_size"])


@pytest.mark.parametrize("cells", UNLABELLED.values(), ids=UNLABELLED.keys())
def test_probabilities_and_view_of_a_task_without_a_label_are_missing(cells):
    with pytest.warns(TaskWarning, match="has no label"):
        model = net().fit(X, Y.assign(void=cells))
    if "void" in model.classes_:
        assert np.isnan(model.predict_proba(X)["void"]).all()
    predicted = model.task_view("void").predict(X)
    assert len(predicted) == N
    assert pd.isna(predicted).all()
