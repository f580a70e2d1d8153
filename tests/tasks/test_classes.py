"""Classes that the user names, and the types that are to hold them."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skmtl.tasks import TargetEncoder, Task

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
