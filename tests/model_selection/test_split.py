"""Splitters that keep class shares and label presence."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GroupKFold, KFold, cross_validate

from skmtl import MultiTaskNetClassifier, MultiTaskNetClassifierRegressor
from skmtl.model_selection import (
    TaskStratifiedGroupKFold,
    TaskStratifiedKFold,
    TaskStratifiedShuffleSplit,
)


@pytest.fixture
def table():
    """Two class tasks, one rare, and a regression with few labels."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "rare": np.where(rng.random(200) < 0.06, "hit", "none"),
            "kind": rng.choice(["a", "b", "c"], 200),
            "size": np.where(rng.random(200) < 0.15, rng.normal(size=200), np.nan),
        }
    )


def unevenness(folds, Y):
    """Largest difference between folds in counts of a class or of labels."""
    counts = []
    for _, test in folds:
        part = Y.iloc[test]
        counts.append([(part["rare"] == "hit").sum(), *part["kind"].value_counts().sort_index(),
                       part["size"].notna().sum()])  # fmt: skip
    return np.ptp(np.array(counts), axis=0).max()


def test_k_folds_are_even_where_plain_folds_are_not(table):
    ours = unevenness(TaskStratifiedKFold(5, random_state=0).split(table, table), table)
    plain = unevenness(KFold(5, shuffle=True, random_state=0).split(table), table)
    assert ours <= 2 < plain


def test_folds_part_the_rows(table):
    tests = [test for _, test in TaskStratifiedKFold(4, random_state=0).split(table, table)]
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(200))
    assert np.ptp([len(test) for test in tests]) <= 2


def test_seeds(table):
    folds = [
        np.concatenate(
            [test for _, test in TaskStratifiedKFold(3, random_state=s).split(table, table)]
        )
        for s in (0, 0, 1)
    ]
    np.testing.assert_array_equal(folds[0], folds[1])
    assert not np.array_equal(folds[0], folds[2])


def test_shuffle_split_sizes_and_shares(table):
    splits = list(TaskStratifiedShuffleSplit(3, test_size=0.25, random_state=0).split(table, table))
    assert len(splits) == 3
    hits = (table["rare"] == "hit").sum()
    for train, test in splits:
        assert set(train).isdisjoint(test)
        assert len(train) + len(test) == 200
        assert abs(len(test) - 50) <= 2
        assert abs((table["rare"].iloc[test] == "hit").sum() - hits / 4) <= 1
    assert not np.array_equal(np.sort(splits[0][1]), np.sort(splits[1][1]))


def test_classifier_with_missing_labels_in_cross_validation(table):
    Y = table[["rare", "kind"]].mask(np.random.default_rng(1).random((200, 2)) < 0.2)
    X = np.random.default_rng(2).normal(size=(200, 3))
    est = MultiTaskNetClassifier(max_epochs=2, random_state=0)
    scores = cross_validate(est, X, Y, cv=TaskStratifiedKFold(3), error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


def test_group_folds_are_of_whole_groups_and_more_even_than_plain_ones(table):
    groups = np.random.default_rng(3).integers(0, 50, 200)
    splits = list(TaskStratifiedGroupKFold(5, random_state=0).split(table, table, groups))
    np.testing.assert_array_equal(np.sort(np.concatenate([t for _, t in splits])), np.arange(200))
    for train, test in splits:
        assert set(groups[train]).isdisjoint(groups[test])
    plain = GroupKFold(5, shuffle=True, random_state=0).split(table, groups=groups)
    assert unevenness(splits, table) <= unevenness(plain, table) / 2


def test_group_folds_in_a_cross_validation(table):
    X = np.random.default_rng(2).normal(size=(200, 3))
    groups = np.arange(200) // 4
    est = MultiTaskNetClassifierRegressor(max_epochs=2, random_state=0)
    cv = TaskStratifiedGroupKFold(3, random_state=0)
    by_hand = cross_validate(
        est, X, table, cv=list(cv.split(X, table, groups)), params={"groups": groups}
    )
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_validate(est, X, table, cv=cv, params={"groups": groups})
    np.testing.assert_array_equal(routed["test_score"], by_hand["test_score"])


def test_group_folds_that_cannot_be(table):
    with pytest.raises(ValueError, match="needs `groups`: which rows belong together"):
        next(TaskStratifiedGroupKFold().split(table, table))
    with pytest.raises(ValueError, match="at most the number of groups, 3"):
        next(TaskStratifiedGroupKFold(4).split(table, table, np.arange(200) % 3))


def test_errors(table):
    with pytest.raises(ValueError, match="`n_splits` must be a whole number of at least 2"):
        next(TaskStratifiedKFold(1).split(table, table))
    with pytest.raises(ValueError, match="`test_size` must be a number between 0 and 1"):
        next(TaskStratifiedShuffleSplit(test_size=2).split(table, table))
    with pytest.raises(ValueError, match=r"`test_size = 0.2` of 2 rows leaves one part empty"):
        next(TaskStratifiedShuffleSplit(test_size=0.2).split(np.zeros(2), [1.5, 2.5]))
