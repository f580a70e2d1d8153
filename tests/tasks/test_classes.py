"""Classes that the user names, and the types that are to hold them."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from skmtl.tasks import Focal, Huber, TargetEncoder, Task, TaskWarning

ORDER = [Task("c", classes=["b", "a"])]
CELLS = ["a", "b", "b", "a"]
CONTAINERS = {
    "category": pd.DataFrame({"c": pd.Categorical(CELLS, categories=["a", "b"])}),
    "ordered": pd.DataFrame({"c": pd.Categorical(CELLS, ["a", "z", "b"], ordered=True)}),
    "enum": pl.DataFrame({"c": pl.Series(CELLS, dtype=pl.Enum(["a", "b"]))}),
    "polars": pl.DataFrame({"c": pl.Series(CELLS, dtype=pl.Categorical)}),
    "dictionary": pa.table({"c": pa.array(CELLS).dictionary_encode()}),
}
#: Those whose type lists its categories.
CLOSED = ["category", "ordered", "enum"]


def cells(restored):
    column = restored["c"]
    return column.to_pylist() if isinstance(column, pa.ChunkedArray) else list(column)


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("by_argument", [False, True])
def test_declared_order_of_classes_does_not_swap_categories(name, by_argument):
    y = CONTAINERS[name]
    encoder = TargetEncoder(None if by_argument else ORDER)
    encoder.fit(y, {"c": ["b", "a"]} if by_argument else None)
    assert encoder.classes_of(encoder.tasks_[0]).tolist() == ["b", "a"]
    targets = encoder.transform(y)
    assert targets.values[:, 0].tolist() == [1, 0, 0, 1]
    restored = encoder.restore([targets.values[:, 0]])
    assert cells(restored) == CELLS
    if isinstance(y, pd.DataFrame):
        pd.testing.assert_frame_equal(restored, y)
    elif isinstance(y, pl.DataFrame):
        assert restored.schema == y.schema
    else:
        assert restored.schema.types == y.schema.types


def test_declared_classes_may_be_some_of_the_categories():
    y = pd.DataFrame({"c": pd.Categorical([3, 1, 3], categories=[1, 2, 3])})
    encoder = TargetEncoder([Task("c", classes=[3, 1])]).fit(y)
    pd.testing.assert_frame_equal(encoder.restore([np.array([0, 1, 0])]), y)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("by_argument", [False, True])
def test_declared_class_that_is_not_a_category_is_an_error(name, by_argument):
    classes = ["b", "new", "a"]
    encoder = TargetEncoder(None if by_argument else [Task("t", columns="c", classes=classes)])
    task = "c" if by_argument else "t"
    message = f"Task '{task}': the declared class 'new' is not a category of column 'c'"
    with pytest.raises(ValueError, match=re.escape(message)):
        encoder.fit(CONTAINERS[name], {"c": classes} if by_argument else None)


@pytest.mark.parametrize("name", ["polars", "dictionary"])
def test_categories_that_no_type_lists_are_widened_by_declared_classes(name):
    y = CONTAINERS[name]
    encoder = TargetEncoder().fit(y, {"c": ["new", "b", "a"]})
    assert cells(encoder.restore([np.array([0, 1, 2])])) == ["new", "b", "a"]


@pytest.mark.parametrize("by_argument", [False, True])
@pytest.mark.parametrize("labels", [["a", "bb", "longer"], [b"a", b"bb", b"longer"]])
@pytest.mark.parametrize("n_columns", [1, 2])
def test_classes_longer_than_the_first_strings_are_not_cut(labels, by_argument, n_columns):
    y = np.array([labels[0], labels[1]] * 2)
    y, name = (y, "y") if n_columns == 1 else (np.column_stack([y, y]), "y1")
    encoder = TargetEncoder(None if by_argument else [Task(name, classes=labels)])
    encoder.fit(y, {name: labels} if by_argument else None)
    classes = encoder.classes_of(encoder.tasks_[-1])
    assert classes.tolist() == labels
    assert classes.dtype == np.array(labels).dtype
    restored = encoder.restore([np.array([0, 1])] * (n_columns - 1) + [np.array([2, 0])])
    assert restored.dtype == classes.dtype
    assert (restored if n_columns == 1 else restored[:, 1]).tolist() == [labels[2], labels[0]]


def test_classes_longer_than_a_field_of_a_structured_array_are_not_cut():
    y = np.array([("a", "u", 0.5), ("bb", "v", 1.5)], [("k", "U2"), ("l", "U3"), ("r", "f4")])
    encoder = TargetEncoder().fit(y, {"k": ["a", "bb", "longer"]})
    assert encoder.classes_of(encoder.tasks_[0]).tolist() == ["a", "bb", "longer"]
    restored = encoder.restore([np.array([2]), np.array([1]), np.array([[2.5]])])
    assert restored.tolist() == [("longer", "v", 2.5)]
    assert restored.dtype == np.dtype([("k", "U6"), ("l", "U3"), ("r", "f4")])


def test_classes_of_an_unknown_task_are_an_error():
    y = pd.DataFrame({"word": ["a", "b"], "size": [0.5, 1.5]})
    message = "unknown task 'wrod'. The tasks are ['word', 'size']. Did you mean 'word'?"
    with pytest.raises(ValueError, match=re.escape(message)):
        TargetEncoder().fit(y, {"wrod": ["a", "b"]})
    with pytest.raises(ValueError, match="classes for task 'size', which is a regression"):
        TargetEncoder().fit(y, {"size": [0, 1]})


def test_no_classes_for_a_task_say_nothing_of_it():
    y = pd.DataFrame({"word": ["a", "b"], "size": [0.5, 1.5]})
    encoder = TargetEncoder([Task("word", classes=["b", "a"])])
    assert encoder.fit(y, {"word": None, "size": []}).tasks_[0].classes == ("b", "a")


# ------------------------------------------------------------------------------------------------
# Ordered classes and labels in several columns
# ------------------------------------------------------------------------------------------------


def classes_of(y, *tasks):
    return TargetEncoder(list(tasks)).fit(y).tasks_[0].classes


def test_numbers_and_ordered_categories_have_an_order():
    grade = Task("g", "ordinal")
    assert classes_of(pd.DataFrame({"g": [3, 1, 2, None]}), grade) == (1, 2, 3)
    ordered = pd.Categorical(["low", "high"], ["low", "mid", "high"], ordered=True)
    assert classes_of(pd.DataFrame({"g": ordered}), grade) == ("low", "mid", "high")
    assert classes_of(pd.DataFrame({"g": pd.Categorical([3, 1, 2])}), grade) == (1, 2, 3)


@pytest.mark.parametrize("dtype", ["str", "category", object])
def test_words_without_an_order_are_taken_as_sorted_with_a_warning(dtype):
    y = pd.DataFrame({"g": pd.Series(["low", "mid", "high"], dtype=dtype)})
    with pytest.warns(TaskWarning, match="they are taken as high < low < mid. Name them in order"):
        assert classes_of(y, Task("g", "ordinal")) == ("high", "low", "mid")
    named = Task("g", "ordinal", classes=["low", "mid", "high"])
    assert classes_of(y, named) == ("low", "mid", "high")


def test_two_words_need_no_order():
    assert classes_of(pd.DataFrame({"g": ["no", "yes"]}), Task("g", "ordinal")) == ("no", "yes")


@pytest.mark.filterwarnings("ignore:Task 't'. no label in column")
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": [0, 1, 0], "b": [0, 0, 0]}, (0, 1)),
        ({"a": [1, 1, 1], "b": [1, 1, 1]}, (0, 1)),
        ({"a": [0.0, None, 0.0], "b": [None, None, None]}, (0, 1)),
        ({"a": [True, None, False], "b": [True, True, True]}, (False, True)),
        ({"a": [0, 1, 0], "b": [True, True, False]}, (0, 1)),
        ({"a": ["no", "yes", None], "b": ["no", "no", "no"]}, ("no", "yes")),
    ],
)
def test_the_labels_of_several_columns_are_common(columns, expected):
    tags = Task("t", "multilabel", columns=["a", "b"])
    assert classes_of(pd.DataFrame(columns), tags) == expected


@pytest.mark.parametrize("name", ["object", "category", "polars", "array", "tensor", "records"])
def test_labels_in_several_columns_come_back_as_they_were(name):
    frame = pd.DataFrame({"a": ["no", "yes", "no"], "b": ["no", "no", "no"], "c": [1.5, 2.5, 3.5]})
    flags = (frame[["a", "b"]] == "yes").astype(int)
    y, columns = {
        "object": (frame, ["a", "b"]),
        "category": (frame.astype({"a": "category", "b": pd.CategoricalDtype(["yes", "no"])}), ["a", "b"]),
        "polars": (pl.from_pandas(frame.astype({"a": object, "b": object})), ["a", "b"]),
        "array": (flags.to_numpy(), [0, 1]),
        "tensor": (torch.as_tensor(flags.to_numpy()), [0, 1]),
        "records": (flags.to_records(index=False).view(np.ndarray), ["a", "b"]),
    }[name]  # fmt: skip
    if name == "category":
        y["a"] = y["a"].cat.set_categories(["no", "yes"])
    encoder = TargetEncoder([Task("tags", "multilabel", columns=columns)]).fit(y)
    targets = encoder.transform(y)
    tags = next(i for i, task in enumerate(encoder.tasks_) if task.name == "tags")
    assert targets.values[:, :2].astype(int).tolist() == [[0, 0], [1, 0], [0, 0]]
    predictions = [targets.values[:, 2:]]
    predictions.insert(tags, targets.values[:, :2].astype(np.intp))
    restored = encoder.restore(predictions[: len(encoder.tasks_)])
    if isinstance(y, pd.DataFrame):
        pd.testing.assert_frame_equal(restored, y)
    elif isinstance(y, pl.DataFrame):
        assert restored.equals(y)
    else:
        assert type(restored) is type(y)
        assert restored.dtype == y.dtype
        assert restored.tolist() == y.tolist()


def test_more_than_two_labels_are_an_error():
    y = pd.DataFrame({"a": [0, 1, 2], "b": [0, 1, 0]})
    message = r"'t' is declared as multilabel, so .* Found \[0, 1, 2\] in the columns \['a', 'b'\]"
    with pytest.raises(ValueError, match=message):
        TargetEncoder([Task("t", "multilabel", columns=["a", "b"])]).fit(y)


@pytest.mark.parametrize("unseen", ["error", "code"])
def test_a_third_label_after_fit_is_an_error(unseen):
    encoder = TargetEncoder([Task("t", "multilabel", columns=["a", "b"])])
    encoder.fit(pd.DataFrame({"a": [0, 1], "b": [0, 1]}))
    with pytest.raises(ValueError, match="column 'b' holds classes that were not seen before"):
        encoder.transform(pd.DataFrame({"a": [0, 1], "b": [0, 2]}), unseen=unseen)


@pytest.mark.parametrize("kind", ["count", "quantile"])
def test_numbers_are_declared_and_words_are_an_error(kind):
    y = pd.DataFrame({"n": [0, 1, 2, 3], "w": list("abcd")})
    encoder = TargetEncoder({"n": kind}).fit(y)
    assert encoder.tasks_[0].kind == kind
    assert encoder.transform(y).values[:, 0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=f"'w' is declared as {kind}, but column 'w' holds"):
        TargetEncoder({"w": kind}).fit(y)
    with pytest.raises(ValueError, match=f"Task 'n' is a {kind}, but column 'n' holds 'a'"):
        encoder.transform(y.assign(n=y["w"]))


def test_negative_counts_are_an_error_with_their_number():
    encoder = TargetEncoder({"n": "count"}).fit(pd.DataFrame({"n": [0.5, 1.0, None]}))
    message = "Task 'n' is a count, but column 'n' holds negative numbers in 2 rows"
    with pytest.raises(ValueError, match=message):
        encoder.transform(pd.DataFrame({"n": [-0.5, 1.0, -3.0]}))


def test_losses_and_levels_survive_the_fit():
    y = pd.DataFrame({"x": [0.5, 1.5], "c": ["a", "b"], "q": [1.5, 2.5]})
    declared = {
        "x": Task("x", loss="huber"),
        "c": Task("c", "classification", loss="focal"),
        "q": Task("q", "quantile", quantiles=[0.2]),
    }
    x, c, q = TargetEncoder(declared).fit(y).tasks_
    assert (x.kind, x.loss) == ("regression", Huber())
    assert (c.kind, c.loss, c.classes) == ("binary", Focal(), ("a", "b"))
    assert q.quantiles == (0.2,)


def test_a_loss_that_the_inferred_kind_does_not_have_is_an_error():
    y = pd.DataFrame({"c": ["a", "b"]})
    with pytest.raises(ValueError, match="the loss 'huber' is for tasks of kind 'regression'"):
        TargetEncoder([Task("c", loss="huber")]).fit(y)


@pytest.mark.parametrize(
    ("cells", "classes", "dtype"),
    [
        (np.array([1, 2]), [1, 1.5, 2], "float64"),
        (np.array([True, False]), [0, 1, 2], "int64"),
        (np.array([0, 1], dtype=np.int8), [0, 1, 200], "int64"),
        (np.array([0, 1], dtype=np.int8), [0, 1, 100], "int8"),
        (pd.array([0, 1], dtype="Int8"), [0, 0.5, 1], "float64"),
        (np.array([0.0, 1.0], dtype=np.float32), [0, 0.5, 1], "float32"),
    ],
)
def test_types_of_numbers_hold_the_classes_that_are_declared(cells, classes, dtype):
    y = pd.DataFrame({"k": cells})
    encoder = TargetEncoder([Task("k", "multiclass", classes=classes)]).fit(y)
    assert encoder.classes_of(encoder.tasks_[0]).tolist() == classes
    restored = encoder.restore([np.arange(3)])
    assert restored["k"].tolist() == classes
    assert restored["k"].dtype == dtype
    again = encoder.transform(pd.DataFrame({"k": classes})).values[:, 0]
    np.testing.assert_array_equal(again, [0, 1, 2])
