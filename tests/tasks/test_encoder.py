import re

import numpy as np
import pandas as pd
import pytest

from skmtl.tasks import TargetEncoder, Targets, Task, TaskWarning
from tests.oracle import WORDS

Y = pd.DataFrame(
    {
        "size": [1.5, np.nan, 2.5, 3.0],
        "word": ["b", "a", None, "b"],
        "kind": pd.Categorical(["y", "x", "y", None], categories=["z", "y", "x"]),
    }
)


def test_a_column_without_a_label_in_a_task_with_others_is_told():
    Y = pd.DataFrame({"a": [0.5, 1.5], "b": [None, None]}, dtype=float)
    with pytest.warns(TaskWarning, match="Task 'v': no label in column 'b'"):
        TargetEncoder({"v": ["a", "b"]}).fit(Y)


def test_labels_may_be_tuples_of_any_length():
    labels = [(1, 2), (1, 3), (2,), (1, 2)]
    encoder = TargetEncoder([Task("t", "multiclass")]).fit(pd.DataFrame({"t": pd.Series(labels)}))
    (task,) = encoder.tasks_
    codes = encoder.transform(pd.DataFrame({"t": pd.Series(labels)})).values[:, 0]
    assert [task.classes[int(code)] for code in codes] == labels
    other = pd.DataFrame({"t": pd.Series([(1, 2, 3), (1, 2)])})
    assert encoder.transform(other, unseen="code").values[1, 0] == codes[0]


@pytest.fixture
def encoder():
    return TargetEncoder().fit(Y)


def test_tasks_and_classes(encoder):
    assert encoder.tasks_ == (
        Task("size", "regression"),
        Task("word", "binary", classes=["a", "b"]),
        Task("kind", "multiclass", classes=["z", "y", "x"]),
    )
    assert encoder.columns_ == ("size", "word", "kind")
    assert encoder.labelled_ == {"size": True, "word": True, "kind": True}


def test_values_and_mask_by_hand(encoder):
    targets = encoder.transform(Y)
    np.testing.assert_array_equal(targets.values, [[1.5, 1, 1], [0, 0, 2], [2.5, 0, 1], [3, 1, 0]])
    np.testing.assert_array_equal(targets.mask, Y.notna())
    assert targets.values.dtype == np.float64


def test_columns_go_in_the_order_of_the_tasks():
    encoder = TargetEncoder({"box": ["b", "a"]}).fit(
        pd.DataFrame({"a": [1.5, 2.5], "k": ["u", "v"], "b": [3.5, 4.5]})
    )
    assert [task.name for task in encoder.tasks_] == ["k", "box"]
    frame = pd.DataFrame({"b": [3.5], "k": ["v"], "a": [1.5]})
    np.testing.assert_array_equal(encoder.transform(frame).values, [[1, 3.5, 1.5]])
    out = encoder.restore([np.array([0]), np.array([[7.0, 8.0]])])
    assert out.to_dict("list") == {"a": [8.0], "k": ["u"], "b": [7.0]}


def test_restore_is_the_inverse_of_transform(encoder):
    predictions = [np.array([[1.5], [2.5]]), np.array([1, 0]), np.array([0, 2])]
    expected = pd.DataFrame(
        {
            "size": [1.5, 2.5],
            "word": ["b", "a"],
            "kind": pd.Categorical(["z", "x"], categories=["z", "y", "x"]),
        },
        index=[7, 9],
    )
    pd.testing.assert_frame_equal(encoder.restore(predictions, pd.Index([7, 9])), expected)


def test_take_selects_rows(encoder):
    targets = encoder.transform(Y)
    part = targets.take(np.array([3, 0]))
    assert len(part) == 2
    np.testing.assert_array_equal(part.values, targets.values[[3, 0]])
    np.testing.assert_array_equal(part.mask, targets.mask[[3, 0]])


@pytest.mark.parametrize(
    ("cells", "dtype", "expected"),
    [
        ([True, False], bool, [False, True]),
        ([3, 1], "i2", [1, 3]),
        ([1.0, 0.0, np.nan], float, [0.0, 1.0]),
        (pd.array([3, None, 1], dtype="Int64"), "i8", [1, 3]),
        (pd.array([True, None, False], dtype="boolean"), bool, [False, True]),
        (["b", "a"], object, ["a", "b"]),
        (pd.Categorical([2, 1], categories=[3, 2, 1]), "i8", [3, 2, 1]),
        (pd.Series([1, "a", None], dtype=object), object, [1, "a"]),
        (pd.Series([(1, 2), (0, 5)], dtype=object), object, [(0, 5), (1, 2)]),
    ],
)
def test_classes_keep_their_type(cells, dtype, expected):
    y = pd.DataFrame({"k": cells})
    y = y.astype({"k": dtype}) if dtype == "i2" else y
    encoder = TargetEncoder().fit(y)
    classes = encoder.classes_of(encoder.tasks_[0])
    assert classes.dtype == dtype
    assert classes.tolist() == expected
    restored = encoder.restore([np.arange(len(expected))])["k"]
    assert restored.dtype == y["k"].dtype
    assert restored.tolist() == expected


@pytest.mark.parametrize("y", [np.array(["b", "a"]), np.array([b"b", b"a"])])
def test_classes_of_an_array_of_strings_keep_its_type(y):
    encoder = TargetEncoder().fit(y)
    assert encoder.classes_of(encoder.tasks_[0]).dtype == y.dtype


def test_kind_follows_from_the_number_of_classes():
    y = pd.DataFrame({"two": [0, 1] * 15, "three": [0, 1, 2] * 10})
    kinds = [task.kind for task in TargetEncoder("classification").fit(y).tasks_]
    assert kinds == ["binary", "multiclass"]


def test_declared_classes_and_their_order_stay():
    encoder = TargetEncoder([Task("word", classes=["c", "b", "a"])]).fit(Y)
    task = encoder.tasks_[1]
    assert (task.kind, task.classes) == ("multiclass", ("c", "b", "a"))
    assert encoder.transform(Y).values[:, 1].tolist() == [1, 2, 0, 1]


def test_classes_given_to_fit_are_those_that_will_ever_occur():
    encoder = TargetEncoder().fit(Y, {"word": np.array(["a", "b", "c"])})
    assert encoder.tasks_[1].classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("kind", "cells"), [("regression", [0.5, 1.5]), ("classification", ["a", "b"])]
)
def test_default_kind(kind, cells):
    task = TargetEncoder(default_kind=kind).fit(pd.DataFrame({"t": cells})).tasks_[0]
    assert task.has_classes is (kind == "classification")


@pytest.mark.parametrize(
    "later",
    [
        Y[["kind", "word", "size"]],
        Y.to_numpy(dtype=object),
        Y.to_numpy(dtype=object).tolist(),
        {name: Y[name].tolist() for name in Y},
        Y.astype({"kind": object, "word": "category"}),
    ],
    ids=["other order", "array", "rows", "dict", "other types"],
)
def test_later_rows_may_come_in_another_container(encoder, later):
    expected = encoder.transform(Y)
    targets = encoder.transform(later)
    np.testing.assert_array_equal(targets.values, expected.values)
    np.testing.assert_array_equal(targets.mask, expected.mask)


def test_class_codes_do_not_depend_on_the_type_of_the_number():
    encoder = TargetEncoder("classification").fit(pd.DataFrame({"k": [2, 1, 2]}))
    for later in ([1.0, 2.0, np.nan], [1, 2, None], [True, 2, pd.NA]):
        targets = encoder.transform(pd.DataFrame({"k": pd.Series(later, dtype=object)}))
        np.testing.assert_array_equal(targets.values[:, 0], [0, 1, 0])
        np.testing.assert_array_equal(targets.mask[:, 0], [True, True, False])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float64, np.float32, np.uint8])
def test_classes_that_are_numbers_get_the_codes_that_objects_would(dtype):
    fitted = TargetEncoder("classification").fit(pd.DataFrame({"a": np.array([7, 2, 200], dtype)}))
    later = pd.Series(np.array([200, 2, 9, 7, 3, 2], dtype), name="a")
    if np.dtype(dtype).kind == "f":
        later[1] = np.nan
    found = fitted.transform(later.to_frame(), unseen="code")
    known = dict(zip(fitted.tasks_[0].classes, range(3), strict=True)) | {3: 3, 9: 4}
    expected = [known.get(cell, 0) for cell in later]
    np.testing.assert_array_equal(found.values[:, 0], expected)
    np.testing.assert_array_equal(found.mask[:, 0], later.notna())


def test_whole_numbers_beyond_those_of_floats_stay_apart():
    large = 2**53
    fitted = TargetEncoder("classification").fit(pd.DataFrame({"a": [large, large + 1]}))
    codes = fitted.transform(pd.DataFrame({"a": [large + 1, large]})).values[:, 0]
    np.testing.assert_array_equal(codes, [1, 0])


def test_unseen_class_is_an_error_that_names_task_column_and_class(encoder):
    message = "Task 'word': column 'word' holds classes that were not seen before: ['c', 'd']"
    with pytest.raises(ValueError, match=re.escape(message)):
        encoder.transform(Y.assign(word=["d", "c", "a", None]))


def test_labels_of_another_type_than_the_classes_are_told_of():
    encoder = TargetEncoder([Task("k", "multiclass", classes=["0", "1"])])
    message = r"Known are \['0', '1'\].*The label 0 is int where the class is str: make them alike"
    with pytest.raises(ValueError, match=message):
        encoder.fit(pd.DataFrame({"k": ["0", "1"]})).transform(pd.DataFrame({"k": [0, 1]}))


def test_new_classes_are_told_of_as_they_are():
    encoder = TargetEncoder("classification").fit(pd.DataFrame({"k": [0.0, 1.0]}))
    with pytest.raises(
        ValueError, match=r"not seen before: \[2\.0, 3\.0\]\. Known are \[0\.0, 1\.0\]"
    ):
        encoder.transform(pd.DataFrame({"k": [0.0, 3.0, 2.0]}))


def test_unseen_classes_get_the_next_codes_for_scoring(encoder):
    targets = encoder.transform(Y.assign(word=["d", "c", "a", None]), unseen="code")
    assert targets.values[:, 1].tolist() == [3, 2, 0, 0]
    assert targets.mask[:, 1].tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "Float64", "Int64", "string", "boolean", "category", object]
)
def test_task_without_a_label_is_restored_as_missing(dtype):
    y = Y.assign(void=pd.Series([None] * 4, dtype=object).astype(dtype))
    with pytest.warns(TaskWarning, match="Task 'void' has no label: it will be predicted"):
        encoder = TargetEncoder().fit(y)
    assert encoder.labelled_["void"] is False
    task = encoder.tasks_[-1]
    predicted = np.zeros(2, dtype=np.intp) if task.has_classes else np.zeros((2, 1))
    others = [np.zeros((2, 1)), np.zeros(2, dtype=np.intp), np.zeros(2, dtype=np.intp)]
    restored = encoder.restore([*others, predicted])["void"]
    assert restored.isna().all()
    assert not encoder.transform(y).mask[:, -1].any()


def test_declared_classes_without_a_label_are_restored_as_missing():
    y = Y.assign(void=pd.Categorical([None] * 4, categories=["p", "q"]))
    with pytest.warns(TaskWarning):
        encoder = TargetEncoder().fit(y[["size", "void"]])
    assert encoder.tasks_[1].classes == ("p", "q")
    restored = encoder.restore([np.zeros((1, 1)), np.array([1])])
    assert restored["void"].isna().all()
    assert restored["void"].dtype == y["void"].dtype


def test_later_labels_make_a_task_known():
    with pytest.warns(TaskWarning):
        encoder = TargetEncoder().fit(Y.assign(size=np.nan))
    later = encoder.with_labels(encoder.transform(Y).mask, is_first=False)
    assert later.labelled_["size"] is True
    assert encoder.labelled_["size"] is False
    assert later.restore([np.ones((1, 1)), np.array([0]), np.array([0])])["size"].tolist() == [1.0]
    nothing = Targets(np.zeros((2, 3)), np.zeros((2, 3), dtype=bool))
    assert encoder.with_labels(nothing.mask, is_first=False).labelled_ == encoder.labelled_


def test_one_class_is_a_warning():
    with pytest.warns(TaskWarning, match="Task 'k' has one class only, 'x'"):
        encoder = TargetEncoder().fit(pd.DataFrame({"k": ["x", None]}))
    assert encoder.tasks_[0] == Task("k", "binary", classes=["x"])


@pytest.mark.parametrize(
    ("cells", "tasks", "message"),
    [
        ([1.0, -np.inf], None, "Column 'c' of y contains infinity in 1 rows"),
        (pd.to_datetime(["2024", None]), None, "Column 'c' of y holds dates or durations"),
        ([1j, 2j], None, "Complex data not supported: column 'c'"),
        (["a", "b"], {"c": "regression"}, f"but column 'c' holds {WORDS} values such as 'a'"),
        ([0.5, 1.5], {"c": "binary"}, "Task 'c' .* column 'c' holds numbers with fractions"),
        ([0, 1, 2], {"c": "binary"}, "column 'c' has 3 classes. Declare it as 'multiclass'"),
    ],
)
def test_cells_that_do_not_fit_are_errors(cells, tasks, message):
    with pytest.raises(ValueError, match=message):
        TargetEncoder(tasks).fit(pd.DataFrame({"c": cells}))


def test_cells_that_cannot_be_classes_are_an_error():
    with pytest.raises(TypeError, match="Task 'c': the cells of column 'c' cannot be told apart"):
        TargetEncoder().fit(pd.DataFrame({"c": [{"a": 1}, {"b": 2}]}))


def test_later_rows_are_checked_alike(encoder):
    with pytest.raises(ValueError, match="Column 'size' of y contains infinity in 4 rows"):
        encoder.transform(Y.assign(size=np.inf))
    with pytest.raises(ValueError, match=r"Task 'size' is a regression, but .* holds 'big'"):
        encoder.transform(Y.assign(size="big"))
    with pytest.raises(ValueError, match=r"the 3 columns seen in fit, .* Found 2 columns"):
        encoder.transform(Y[["size", "word"]])
    with pytest.raises(ValueError, match=r"Found \['length', 'word', 'kind'\]"):
        encoder.transform(Y.rename(columns={"size": "length"}))


def test_numbers_for_words_are_told_of_unless_they_are_declared():
    hours = pd.DataFrame({"hours": [*map(str, range(30)), "unk"]})
    message = r"Task 'hours' .* of 31 cells 30 are numbers, but not \['unk'\]"
    with pytest.warns(TaskWarning, match=message):
        TargetEncoder().fit(hours)
    with pytest.warns(TaskWarning, match=r"of 30 cells 30 are numbers\. Make the column"):
        TargetEncoder().fit(hours[:30])
    TargetEncoder({"hours": "classification"}).fit(hours)
    TargetEncoder(default_kind="classification").fit(hours)
    TargetEncoder("classification").fit(hours)
    TargetEncoder().fit(pd.DataFrame({"grade": ["1", "2", "3", "none"] * 10}))
