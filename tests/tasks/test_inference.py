from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from skmtl.tasks import Task, declare_tasks, infer_kind
from skmtl.tasks._inference import numbers

FRAME = pd.DataFrame({"size": [0.5, 1.5, 2.0], "word": ["a", "b", "a"], "wide": [1.5, 2.5, 3.5]})


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([True, False, None], "classification"),
        (["a", "b", None], "classification"),
        (pd.Categorical([0.5, 1.5, 0.5]), "classification"),
        (pd.array([True, None], dtype="boolean"), "classification"),
        ([("a", 1), ("b", 2)], "classification"),
        ([1, "a", 2.5], "classification"),
        ([0.5, 1.0, None], "regression"),
        ([0.0, 1.0, np.nan], "classification"),  # at most two values
        ([3, 7], "classification"),
        ([1, 2, 3], "regression"),  # three values, once each
        ([1, 2, 3] * 5, "classification"),  # three values, five times each
        ([1, 2, 3] * 4 + [1, 2], "regression"),  # less than five on average
        ([1, 2, 3] * 4 + [1, 1, 1], "classification"),  # on average is enough
        (list(range(10)) * 5, "classification"),
        (list(range(11)) * 5, "regression"),
        (pd.array([1, 2, 3] * 5 + [None], dtype="Int64"), "classification"),
        ([np.nan, np.nan], "regression"),
        ([None, None], "classification"),
        ([Decimal("0.5"), Decimal(1), None], "regression"),
        ([Fraction(1, 2), 1], "regression"),
        ([Decimal(1), Decimal(0)], "classification"),
    ],
)
def test_kind_by_the_documented_rule(cells, kind):
    assert infer_kind(pd.Series(cells)) == kind


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pd.Series([1, 2]), [1.0, 2.0]),
        (pd.Series([1.5, None]), [1.5, np.nan]),
        (pd.Series(pd.array([1, None], dtype="Int8")), [1.0, np.nan]),
        (pd.Series([1, None, 2.5, pd.NA], dtype=object), [1.0, np.nan, 2.5, np.nan]),
        (pd.Series([Decimal("0.25"), None], dtype=object), [0.25, np.nan]),
        (pd.Series([np.float32(0.5), np.int8(2)], dtype=object), [0.5, 2.0]),
    ],
)
def test_numbers_reads_numeric_columns(cells, expected):
    values = numbers(cells)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([True, False]),
        pd.Series([True, 1], dtype=object),
        pd.Series(["1", "2"]),
        pd.Series(pd.Categorical([1, 2])),
        pd.Series([1, "a"], dtype=object),
        pd.Series([None, None], dtype=object),
    ],
)
def test_numbers_is_none_for_what_is_not_numeric(cells):
    assert numbers(cells) is None


def test_undeclared_columns_are_inferred_in_order():
    tasks = declare_tasks(FRAME, None)
    assert [(t.name, t.kind) for t in tasks] == [
        ("size", "regression"),
        ("word", "classification"),
        ("wide", "regression"),
    ]


def test_one_word_declares_every_column():
    tasks = declare_tasks(FRAME[["size", "wide"]], "regression")
    assert tasks == [Task("size", "regression"), Task("wide", "regression")]


def test_default_kind_is_for_columns_without_a_declaration():
    tasks = declare_tasks(FRAME, {"word": "binary"}, "regression")
    assert [t.kind for t in tasks] == ["regression", "binary", "regression"]


@pytest.mark.parametrize("key", ["word", 1, -2, np.int64(1)])
def test_columns_are_found_by_name_or_position(key):
    tasks = declare_tasks(FRAME, {key: "multiclass"})
    assert tasks[1] == Task("word", "multiclass")


def test_labels_that_are_numbers_go_before_positions():
    frame = pd.DataFrame({1: [0.5], 0: [1.5]})
    tasks = declare_tasks(frame, {0: "regression"})
    assert [(t.name, t.columns) for t in tasks] == [("1", (1,)), ("0", (0,))]


def test_list_of_columns_is_one_regression_in_the_place_of_its_first():
    tasks = declare_tasks(FRAME, {"box": ["wide", "size"]})
    assert tasks == [
        Task("word", "classification"),
        Task("box", "regression", columns=("wide", "size")),
    ]


def test_task_objects_keep_name_and_classes():
    tasks = declare_tasks(FRAME, [Task("label", columns=["word"], classes=["b", "a"])])
    assert tasks[1] == Task("label", "classification", ("word",), ("b", "a"))
    by_name = {"label": Task("label", columns=["word"], classes=["b", "a"])}
    assert declare_tasks(FRAME, by_name) == tasks


def test_task_of_several_columns_without_a_kind_is_a_regression():
    assert declare_tasks(FRAME, [Task("box", columns=["size", "wide"])])[0].kind == "regression"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"wrod": "binary"}, "y has no column 'wrod'.*Did you mean 'word'"),
        ({7: "binary"}, "y has no column 7"),
        ({"box": ["size", "depth"]}, "Task 'box': y has no column 'depth'"),
        ({"box": ["size", "size"]}, "Column 'size' of y must be read by one task. It is read 2"),
        ([Task("word", columns=["size"])], "Two tasks are called 'word'"),
        ({"size": Task("word")}, "Task 'word' is declared under the key 'size'"),
    ],
)
def test_declarations_that_do_not_fit_are_errors(tasks, message):
    with pytest.raises(ValueError, match=message):
        declare_tasks(FRAME, tasks)


@pytest.mark.parametrize("tasks", [1, {"size": 1.5}, [("size", "regression")]])
def test_declarations_of_another_type_are_errors(tasks):
    with pytest.raises(TypeError, match="Found"):
        declare_tasks(FRAME, tasks)


def test_doubled_names_are_an_error_even_as_text():
    with pytest.raises(ValueError, match=r"Found twice: \['1'\]"):
        declare_tasks(pd.DataFrame([[1, 2]], columns=["1", 1]), None)


def test_no_column_is_an_error():
    with pytest.raises(ValueError, match=r"at least one column. Found 0"):
        declare_tasks(pd.DataFrame(index=range(3)), None)


def test_other_kinds_are_declared_by_word_and_never_inferred():
    frame = pd.DataFrame(
        {"visits": [0, 3, 1, 40, 7, 2], "grade": [1, 2, 3, 1, 2, 3], "y": [0.5] * 6}
    )
    inferred = {task.name: task.kind for task in declare_tasks(frame, None)}
    assert set(inferred.values()) <= {"regression", "classification"}
    declared = declare_tasks(frame, {"visits": "count", "grade": "ordinal", "y": "quantile"})
    assert [task.kind for task in declared] == ["count", "ordinal", "quantile"]
    assert [task.kind for task in declare_tasks(frame, "count")] == ["count"] * 3


def test_whole_numbers_beyond_those_of_floats_are_told_apart():
    ids = np.random.default_rng(0).integers(2**60, 2**60 + 1000, 800)
    assert infer_kind(pd.Series(ids)) == "regression"
    assert infer_kind(pd.Series(ids).astype("Int64").mask(ids % 2 == 0)) == "regression"


def test_names_that_got_lost_on_the_way_are_told():
    frame = pd.DataFrame({"y0": [0.1, 0.2], "y1": [0.3, 0.4]})
    with pytest.raises(
        ValueError, match=r"no column 'price'.* if it was a frame, .* use positions"
    ):
        declare_tasks(frame, {"price": "regression"})
