import numpy as np
import pandas as pd
import pytest
import torch

from skmtl import MultiTaskNetRegressor
from skmtl.heads import HeadSpec
from skmtl.sharing import Grouped, Hard, Independent
from skmtl.tasks import TaskWarning
from tests.oracle import tasks_of
from tests.sharing.oracle import (
    assert_tight,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

NAMES = ("a", "b", "c", "d", "e")
GROUPS = [["d", "b"], ["a", "e"], ["c"]]


@each_trunk
@one_and_two_members
def test_a_trunk_for_each_group(trunk, n_members):
    body = body_of(Grouped(GROUPS), trunk, NAMES, n_members)
    x = rows_for(trunk)
    h = body(x)
    # Numbered by the first name in each: a and e, b and d, c.
    number = {"a": 0, "e": 0, "b": 1, "d": 1, "c": 2}
    for m in range(n_members):
        for t, name in enumerate(NAMES):
            copy = m * len(GROUPS) + number[name]
            assert_tight(h[m, t], trunk_by_hand(body.trunk.blocks, copy, x))


@pytest.mark.parametrize(
    "groups",
    [
        GROUPS[::-1],
        tuple(tuple(group) for group in GROUPS),
        {"d": "x", "b": "x", "a": 1, "e": 1, "c": None},
        [*GROUPS, []],
        [set(group) for group in GROUPS],
        {frozenset(group) for group in GROUPS},
        pd.Series({"d": "x", "b": "x", "a": "y", "e": "y", "c": "z"}),
    ],
    ids=["turned", "tuples", "mapping", "empty", "sets", "set of sets", "series"],
)
def test_other_ways_to_write_the_same_groups(groups):
    x = rows_for()
    ours, theirs = (body_of(Grouped(g), names=NAMES, moved=False) for g in (groups, GROUPS))
    assert torch.equal(ours(x), theirs(x))


@each_trunk
@one_and_two_members
def test_one_group_is_hard_sharing(trunk, n_members):
    ours = body_of(Grouped([NAMES]), trunk, NAMES, n_members, moved=False)
    theirs = body_of(Hard(), trunk, NAMES, n_members, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), theirs(x))


@each_trunk
@one_and_two_members
def test_a_group_for_each_task_is_independent_nets(trunk, n_members):
    ours = body_of(Grouped([[name] for name in NAMES]), trunk, NAMES, n_members, moved=False)
    theirs = body_of(Independent(), trunk, NAMES, n_members, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), theirs(x))


@pytest.fixture
def planted():
    """Six targets in two groups, a quarter of the labels missing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    one, other = X[:, 0] + X[:, 1], X[:, 2] * X[:, 3]
    columns = {
        name: (one if name in "bdf" else other) + 0.3 * rng.normal(size=200) for name in "abcdef"
    }
    Y = pd.DataFrame(columns)
    return X, Y.mask(rng.random(Y.shape) < 0.25)


def test_auto_finds_planted_groups(planted):
    X, Y = planted
    est = MultiTaskNetRegressor(
        sharing="grouped", hidden_layer_sizes=(4,), max_epochs=1, random_state=0
    ).fit(X, Y)
    assert est.sharing_.groups == [["a", "c", "e"], ["b", "d", "f"]]
    assert est.net_.module_.body.group_of_task.tolist() == [0, 1, 0, 1, 0, 1]
    assert est.sharing == "grouped"


def test_auto_with_as_many_groups_as_tasks_or_one_looks_at_no_label():
    specs = [HeadSpec(name, "regression", 1, 0) for name in "ab"]
    nothing = np.zeros((4, 2))
    for n_groups, groups in ((1, [["a", "b"]]), (2, [["a"], ["b"]]), (9, [["a"], ["b"]])):
        scheme = Grouped(n_groups=n_groups).adapt(nothing, nothing > 0, tasks_of(specs))
        assert scheme.groups == groups


def test_pairs_that_never_meet_count_as_average_ones():
    specs = [HeadSpec(name, "regression", 1, 0) for name in "abc"]
    random = np.random.default_rng(0)
    values = random.normal(size=(20, 3))
    values[:, 1] = values[:, 0] + 0.1 * random.normal(size=20)  # a and b are alike
    mask = np.ones((20, 3), dtype=bool)
    mask[:10, 0], mask[10:, 2] = False, False
    with pytest.warns(TaskWarning, match=r"Tasks 'a' and 'c' have fewer .*\(1 in all\)"):
        scheme = Grouped().adapt(values, mask, tasks_of(specs))
    assert scheme.groups == [["a", "b"], ["c"]]


def test_auto_needs_some_pair_that_meets():
    specs = [HeadSpec(name, "regression", 1, 0) for name in "abc"]
    values = np.random.default_rng(0).normal(size=(21, 3))
    mask = np.eye(3, dtype=bool)[np.arange(21) % 3]
    match = r"needs pairs of tasks with labels in the same rows.*'a' and 'b'.*Give `groups`"
    with pytest.raises(ValueError, match=match):
        Grouped().adapt(values, mask, tasks_of(specs))


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ([["a", "b"], ["c", "d"]], "Task 'e' is in 0"),
        ([["a", "b", "c", "d", "e"], ["b"]], "Task 'b' is in 2"),
        ([["a", "b", "c", "d", "ee"]], r"names 'ee', which is no task.* Did you mean 'e'\?"),
        ({"a": 0, "b": 1}, "Task 'c' is in 0"),
        ("auto", "chosen in `fit`"),
        (5, r"a list with a list of task names .*Found `groups = 5`"),
        (None, "Found `groups = None`"),
        ([1, 2], r"a list with a list of task names .*Found `groups = \[1, 2\]`"),
        (["a", "b"], r"a list with a list of task names .*Found `groups = \['a', 'b'\]`"),
        ([["a", ["b"]], ["c", "d", "e"]], r"names \['b'\], which is no task"),
        (np.array(3), r"Found `groups = array\(3\)`"),
        (([name] for name in "abcde"), r"Found `groups = <generator"),
        ([{"a": 1, "b": 1}, ["c", "d", "e"]], r"Found `groups = \[\{'a': 1"),
        ({"a": ["x"], "b": ["x"]}, r"must lead from each task to its group.*\['x'\] for 'a'"),
        (pd.DataFrame({"a": [0]}), "a list with a list of task names"),
        (pd.Series([["a", "b"], ["c"]]), r"must lead from each task to its group.*for 0"),
        (pd.Series({"a": 1.0, "b": np.nan}), r"must give each task a group\. Found nan for 'b'"),
        ({"a": 1.0, "b": float("nan")}, r"must give each task a group\. Found nan for 'b'"),
    ],
)
def test_bad_groups(groups, match):
    with pytest.raises(ValueError, match=match):
        body_of(Grouped(groups), names=NAMES)


def test_unknown_word():
    with pytest.raises(ValueError, match=r"'auto'.*Found `groups = 'atuo'`"):
        Grouped("atuo").adapt(np.zeros((2, 1)), np.ones((2, 1)) > 0, [])


class Groups(Grouped):
    """A scheme of a user's own."""

    alias = "groups"


def test_a_subclass_stays_one():
    specs = [HeadSpec(name, "regression", 1, 0) for name in "ab"]
    nothing = np.zeros((4, 2))
    scheme = Groups(n_groups=1)
    adapted = scheme.adapt(nothing, nothing > 0, tasks_of(specs))
    assert type(adapted) is Groups
    assert adapted.groups == [["a", "b"]]
    assert scheme.groups == "auto"
