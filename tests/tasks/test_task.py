import pickle

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
def test_only_a_regression_reads_several_columns(kind):
    with pytest.raises(ValueError, match=rf"Found kind '{kind}' with columns \['a', 'b'\]"):
        Task("k", kind, columns=["a", "b"])


def test_doubled_classes_are_an_error():
    with pytest.raises(ValueError, match="Task 'k': the classes must differ"):
        Task("k", classes=["a", "b", "a"])
