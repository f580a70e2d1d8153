"""Grouping: against all partitions, and on planted groups."""

import time

import numpy as np
import pandas as pd
import pytest

from skmtl.tasks import group_tasks


def partitions(tasks, n_groups):
    """All partitions of a list into that many groups."""
    if not tasks:
        if n_groups == 0:
            yield []
        return
    first, rest = tasks[0], tasks[1:]
    for smaller in partitions(rest, n_groups - 1):
        yield [[first], *smaller]
    for same in partitions(rest, n_groups):
        for i in range(len(same)):
            yield [*same[:i], [first, *same[i]], *same[i + 1 :]]


def objective(affinity, groups):
    """The sum over ordered pairs within groups of what is above the mean of all pairs."""
    n = len(affinity)
    mean = sum(affinity[s, t] for s in range(n) for t in range(n) if s != t) / (n * (n - 1))
    pairs = [(s, t) for group in groups for s in group for t in group if s != t]
    return sum(affinity[s, t] - mean for s, t in pairs)


@pytest.mark.parametrize("n_tasks", [2, 5, 7])
@pytest.mark.parametrize("kind", ["signed", "positive", "symmetric"])
def test_no_partition_is_better(n_tasks, kind):
    rng = np.random.default_rng(n_tasks)
    affinity = rng.normal(size=(n_tasks, n_tasks))
    affinity = np.abs(affinity) if kind == "positive" else affinity
    affinity = affinity + affinity.T if kind == "symmetric" else affinity
    for n_groups in range(1, n_tasks + 1):
        best = max(
            objective(affinity, groups) for groups in partitions(list(range(n_tasks)), n_groups)
        )
        found = group_tasks(affinity, n_groups)
        assert len(found) == n_groups
        assert sorted(task for group in found for task in group) == list(range(n_tasks))
        assert objective(affinity, found) == pytest.approx(best)


def test_a_partition_computed_by_hand():
    # Mean 0.4: {0, 1} is 0.5 above it both ways, all others below.
    affinity = np.array([[9, 1.0, 0.1], [0.8, 9, 0.1], [0.2, 0.2, 9]])
    assert group_tasks(affinity, 2) == [[0, 1], [2]]


def test_limiting_cases_and_order():
    names = ["c", "a", "b"]
    affinity = pd.DataFrame(np.random.default_rng(0).random((3, 3)), names, names)
    assert group_tasks(affinity, 1) == [["c", "a", "b"]]
    assert group_tasks(affinity, 3) == [["c"], ["a"], ["b"]]
    assert group_tasks([[1.0]], 1) == [[0]]


@pytest.mark.parametrize("n_tasks", [9, 12, 13, 40])
@pytest.mark.parametrize("n_groups", [2, 3])
def test_planted_groups_are_found(n_tasks, n_groups):
    rng = np.random.default_rng(n_tasks)
    group = np.arange(n_tasks) % n_groups
    affinity = 0.2 * (group[:, None] == group) + 0.1 * rng.normal(size=(n_tasks, n_tasks))
    expected = [np.flatnonzero(group == g).tolist() for g in range(n_groups)]
    assert group_tasks(affinity, n_groups) == expected


def test_beyond_12_tasks_no_single_move_is_better():
    rng = np.random.default_rng(0)
    affinity = rng.normal(size=(15, 15))
    groups = group_tasks(affinity, 4)
    value = objective(affinity, groups)
    for group in [group for group in groups if len(group) > 1]:
        for task in group:
            for other in [other for other in groups if other is not group]:
                moved = [[t for t in g if t != task] + [task] * (g is other) for g in groups]
                assert objective(affinity, moved) <= value + 1e-9


def test_the_two_ways_agree_where_the_groups_are_plain(monkeypatch):
    rng = np.random.default_rng(1)
    group = np.array([0, 0, 1, 2, 1, 2, 0, 1])
    affinity = (group[:, None] == group) + 0.2 * rng.normal(size=(8, 8))
    exact = group_tasks(affinity, 3)
    monkeypatch.setattr("skmtl.tasks._grouping.EXACT_TASKS", 0)
    assert group_tasks(affinity, 3) == exact


def test_a_shift_and_a_scale_change_nothing():
    affinity = np.random.default_rng(2).normal(size=(8, 8))
    assert group_tasks(3 * affinity - 5, 3) == group_tasks(affinity, 3)


def test_twelve_tasks_take_less_than_two_seconds():
    affinity = np.random.default_rng(0).normal(size=(12, 12))
    start = time.perf_counter()
    group_tasks(affinity, 4)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("n_tasks", [5, 20])
def test_equal_affinities_give_the_same_result_each_time(n_tasks):
    affinity = np.ones((n_tasks, n_tasks))
    found = group_tasks(affinity, 3)
    assert [len(group) > 0 for group in found] == [True] * 3
    assert found == group_tasks(affinity, 3)


@pytest.mark.parametrize("n_groups", [0, 4, 1.5, True, "2"])
def test_a_number_of_groups_out_of_range(n_groups):
    with pytest.raises(ValueError, match=r"`n_groups` must be a whole number from 1 .*, 3\. Found"):
        group_tasks(np.eye(3), n_groups)


@pytest.mark.parametrize("affinity", [np.ones((2, 3)), np.ones(3), np.ones((0, 0))])
def test_not_square(affinity):
    with pytest.raises(ValueError, match=r"`affinity` must be square.*Found shape"):
        group_tasks(affinity, 1)


def test_rows_that_are_not_the_columns():
    frame = pd.DataFrame(np.eye(2), ["a", "b"], ["b", "a"])
    with pytest.raises(
        ValueError, match=r"rows of `affinity` must be the same tasks.*\['a', 'b'\]"
    ):
        group_tasks(frame, 1)


def test_nan_names_the_tasks_and_the_diagonal_may_be_anything():
    names = ["price", "sold", "kind"]
    affinity = pd.DataFrame(np.ones((3, 3)), names, names)
    affinity.loc["price", "price"] = np.nan
    assert len(group_tasks(affinity, 2)) == 2
    affinity.loc["sold", "kind"] = np.nan
    with pytest.raises(
        ValueError, match="Found 1 that are not, between the tasks 'sold' and 'kind'"
    ):
        group_tasks(affinity, 2)


def test_all_affinities_in_place_of_one():
    class Several:
        gradients = np.eye(2)

    with pytest.raises(TypeError, match=r"must be one frame\. Found a Several.*gradients"):
        group_tasks(Several(), 1)
