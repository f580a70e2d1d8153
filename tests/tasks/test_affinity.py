"""Affinity of labels: against pandas, scikit-learn and contingency tables."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cross_decomposition import CCA

from skmtl.tasks import TargetEncoder, Task, label_affinity


def numbers(n):
    return [Task(f"t{i}", "regression") for i in range(n)]


def random_table(n_rows, n_columns, missing, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, n_columns)) @ rng.normal(size=(n_columns, n_columns))
    return values, rng.random(values.shape) >= missing


@pytest.mark.parametrize("missing", [0.0, 0.4, 0.9])
def test_numbers_are_correlated_as_pandas_does_it(missing):
    values, mask = random_table(60, 6, missing)
    values[:, 1] = values[:, 1] * 1e-6 + 1e3  # a large offset beside a small spread
    expected = pd.DataFrame(np.where(mask, values, np.nan)).corr(min_periods=3).abs()
    found = label_affinity(np.where(mask, values, 0), mask, numbers(6))
    np.testing.assert_allclose(found, expected.fillna(np.nan), atol=1e-6)
    np.testing.assert_array_equal(found, found.T)


def test_what_stands_in_unlabelled_cells_is_not_read():
    values, mask = random_table(30, 3, 0.4)
    left = label_affinity(np.where(mask, values, 0), mask, numbers(3))
    right = label_affinity(np.where(mask, values, 1e9), mask, numbers(3))
    np.testing.assert_allclose(left, right)


def test_one_far_value_that_a_pair_does_not_share_does_not_hide_the_pair():
    values = np.random.default_rng(0).normal(size=(20, 2))
    values[0, 0] = 1e12
    mask = np.ones((20, 2), dtype=bool)
    mask[0, 1] = False
    expected = abs(np.corrcoef(values[1:].T)[0, 1])
    found = label_affinity(values, mask, numbers(2))
    assert found[0, 1] == pytest.approx(expected, rel=1e-3)


def test_two_classes_count_as_their_codes():
    rng = np.random.default_rng(0)
    y = pd.DataFrame({"price": rng.normal(size=50), "sold": rng.choice(["no", "yes"], 50)})
    encoder = TargetEncoder().fit(y)
    targets = encoder.transform(y)
    found = label_affinity(targets.values, targets.mask, encoder.tasks_)
    expected = np.corrcoef(y["price"], y["sold"] == "yes")[0, 1]
    assert found[0, 1] == pytest.approx(abs(expected))


def test_vectors_are_correlated_as_by_scikit_learns_cca():
    rng = np.random.default_rng(0)
    left = rng.normal(size=(80, 3))
    right = left @ rng.normal(size=(3, 2)) + rng.normal(size=(80, 2))
    tasks = [Task("a", "regression", columns=range(3)), Task("b", "regression", columns=range(2))]
    values = np.hstack([left, right])
    mask = np.ones(values.shape, dtype=bool)
    mask[::7, 1] = False  # a row of a vector counts if it is complete
    rows = mask.all(axis=1)
    u, v = CCA(1, max_iter=5000, tol=1e-12).fit_transform(left[rows], right[rows])
    found = label_affinity(np.where(mask, values, 0), mask, tasks)
    assert found[0, 1] == pytest.approx(np.corrcoef(u[:, 0], v[:, 0])[0, 1], abs=1e-6)


def test_classes_against_a_number_are_the_correlation_ratio():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, size=200)
    number = np.array([0.0, 3.0, 1.0, 3.0])[codes] + rng.normal(size=200)
    groups = pd.Series(number).groupby(codes)
    between = (groups.size() * (groups.mean() - number.mean()) ** 2).sum()
    tasks = [Task("kind", "multiclass", classes=range(4)), Task("size", "regression")]
    values = np.column_stack([codes, number])
    found = label_affinity(values, np.ones(values.shape, dtype=bool), tasks)
    assert found[0, 1] == pytest.approx(np.sqrt(between / (len(codes) * number.var())))


def test_classes_against_classes_are_correspondence_analysis():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 3, size=300)
    right = np.where(rng.random(300) < 0.4, left, rng.integers(0, 5, size=300))
    shares = pd.crosstab(left, right).to_numpy() / 300
    rows, columns = shares.sum(axis=1, keepdims=True), shares.sum(axis=0, keepdims=True)
    residuals = (shares - rows * columns) / np.sqrt(rows * columns)
    tasks = [Task("a", "multiclass", classes=range(3)), Task("b", "multiclass", classes=range(6))]
    values = np.column_stack([left, right]).astype(float)  # class 5 never occurs
    found = label_affinity(values, np.ones(values.shape, dtype=bool), tasks)
    assert found[0, 1] == pytest.approx(np.linalg.svd(residuals)[1][0])


def test_too_few_common_rows_and_no_spread_are_nan():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10, 4))
    values[:, 3] = 1e6 / 3
    mask = np.ones(values.shape, dtype=bool)
    mask[2:, 0] = False  # two rows
    values[:5, 1] = 7.0
    mask[5:, 2] = False  # task 1 does not vary where task 2 is labelled
    found = label_affinity(values, mask, numbers(4))
    assert np.isnan(found[[0, 0, 0, 1, 3, 3], [1, 2, 3, 2, 1, 2]]).all()
    assert (np.diag(found) == 1).all()


def test_a_single_task():
    assert label_affinity(np.ones((4, 1)), np.ones((4, 1), dtype=bool), numbers(1)) == [[1.0]]


def test_labels_in_several_columns_go_with_their_best_combination():
    rng = np.random.default_rng(0)
    tags = rng.integers(2, size=(80, 3)).astype(float)
    number = tags @ [1.0, -2.0, 0.5]
    tasks = [Task("t", "multilabel", columns=list("abc"), classes=[0, 1]), Task("n", "regression")]
    values = np.column_stack([tags, number])
    found = label_affinity(values, np.ones_like(values, dtype=bool), tasks)
    assert found[0, 1] == pytest.approx(1.0)
