import pickle

import numpy as np
import pytest

from skmtl.tasks import KINDS, Kind, Task


def test_column_is_the_one_called_like_the_task():
    task = Task("price")
    assert task.columns == ("price",)
    assert task.kind is None
    assert (task.n_columns, task.n_classes, task.has_classes) == (1, 0, False)


@pytest.mark.parametrize(
    ("columns", "expected"), [("x", ("x",)), (3, (3,)), (["x", "y"], ("x", "y")), ((), ("box",))]
)
def test_columns_become_a_tuple(columns, expected):
    assert Task("box", "regression", columns).columns == expected


def test_classes_become_a_tuple():
    task = Task("sold", "binary", classes=["no", "yes"])
    assert task.classes == ("no", "yes")
    assert task.n_classes == 2


@pytest.mark.parametrize(
    ("kind", "has_classes"),
    [("regression", False), ("binary", True), ("multiclass", True), ("classification", True)],
)
def test_has_classes_follows_from_the_kind(kind, has_classes):
    assert Task("t", kind).has_classes is has_classes


def test_kinds_know_their_names():
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert KINDS["regression"] == Kind("regression", has_classes=False, many_columns=True)


def test_repr_leaves_out_what_is_at_its_default():
    assert repr(Task("price", "regression")) == "Task('price', 'regression')"
    shown = repr(Task("box", "regression", columns=["x", "y"]))
    assert shown == "Task('box', 'regression', columns=['x', 'y'])"
    assert repr(Task("k", "binary", classes=[0, 1])) == "Task('k', 'binary', classes=[0, 1])"


def test_repr_cuts_a_long_list_of_classes():
    assert repr(Task("k", classes=range(9))).endswith("classes=[0, 1, 2, 3, 4, 5, ...])")


def test_equality_hash_and_pickle():
    task = Task("k", "multiclass", columns=[0], classes=["a", "b", "c"])
    same = Task("k", "multiclass", columns=(0,), classes=("a", "b", "c"))
    assert task == same
    assert hash(task) == hash(same)
    assert pickle.loads(pickle.dumps(task)) == task


@pytest.mark.parametrize("name", ["", None, 3])
def test_name_must_be_a_word(name):
    with pytest.raises(ValueError, match=f"must be a non-empty string. Found {name!r}"):
        Task(name)


def test_unknown_kind_is_an_error_with_a_suggestion():
    with pytest.raises(ValueError, match=r"Found 'multiclas'. Did you mean 'multiclass'"):
        Task("k", "multiclas")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "classification"])
def test_class_tasks_read_one_column(kind):
    with pytest.raises(ValueError, match=rf"Found kind '{kind}' with columns \['a', 'b'\]"):
        Task("k", kind, columns=["a", "b"])


def test_doubled_classes_are_an_error():
    with pytest.raises(ValueError, match="Task 'k': the classes must differ"):
        Task("k", classes=["a", "b", "a"])


@pytest.mark.parametrize(
    ("kind", "has_classes"),
    [("count", False), ("quantile", False), ("ordinal", True), ("multilabel", True)],
)
def test_kinds_that_are_only_declared(kind, has_classes):
    assert Task("t", kind).has_classes is has_classes
    assert KINDS[kind].many_columns is (kind == "multilabel")


def test_quantiles_have_a_default_and_are_floats():
    task = Task("t", "quantile")
    assert task.quantiles == (0.1, 0.5, 0.9)
    assert repr(task) == "Task('t', 'quantile')"
    assert Task("t", "regression").quantiles == ()
    named = Task("t", "quantile", quantiles=np.array([0.25, 0.75]))
    assert repr(named) == "Task('t', 'quantile', quantiles=[0.25, 0.75])"
    assert (
        pickle.loads(pickle.dumps(named)) == named == Task("t", "quantile", quantiles=[0.25, 0.75])
    )
    assert hash(named) != hash(task)


@pytest.mark.parametrize(
    ("levels", "middle"),
    [((0.1, 0.5, 0.9), [1]), ((0.4, 0.6), [0, 1]), ((0.9,), [0]), ((0.01, 0.02, 0.3), [2])],
)
def test_the_middle_level_is_the_nearest_to_one_half(levels, middle):
    assert Task("t", "quantile", quantiles=levels).middle == middle


@pytest.mark.parametrize("levels", [(0.5, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0), ("a",), (50,)])
def test_levels_must_rise_between_0_and_1(levels):
    with pytest.raises(ValueError, match="must be rising numbers between 0 and 1"):
        Task("t", "quantile", quantiles=levels)


def test_only_quantile_tasks_have_levels():
    with pytest.raises(ValueError, match=r"only a task of kind 'quantile' .* Found kind None with"):
        Task("t", quantiles=(0.5,))


def test_a_multilabel_task_has_two_classes():
    assert Task("t", "multilabel", columns=["a", "b"], classes=["no", "yes"]).n_columns == 2
    with pytest.raises(ValueError, match="the classes of a multilabel task are two, 'no' and"):
        Task("t", "multilabel", columns=["a", "b"], classes=[0, 1, 2])


@pytest.mark.parametrize("kind", ["count", "quantile", "ordinal"])
def test_other_kinds_read_one_column(kind):
    with pytest.raises(ValueError, match=r"kind 'regression' or 'multilabel' may read several"):
        Task("t", kind, columns=["a", "b"])


def test_repr_shows_the_loss():
    assert repr(Task("t", "regression", loss="absolute")).endswith("loss=Absolute())")
