import numpy as np
import pytest

from skmtl.tasks import Targets, TargetScaler, Task

TASKS = (
    Task("size", "regression"),
    Task("box", "regression", columns=["x", "y"]),
    Task("word", "binary", classes=["a", "b"]),
)


def table(values, mask=None):
    values = np.asarray(values, dtype=np.float64)
    mask = np.ones(values.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    return Targets(np.where(mask, values, 0.0), mask)


def test_mean_and_scale_of_labelled_cells_by_hand():
    # size: 2, 4 (third missing) -> mean 3, deviation 1; x: 0, 3, 6 -> 3, sqrt(6)
    targets = table(
        [[2, 0, 5, 1], [4, 3, 5, 0], [99, 6, 5, 1]], [[1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]]
    )
    scaler = TargetScaler().fit(targets, targets.mask.astype(float), TASKS)
    np.testing.assert_allclose(scaler.mean_, [3, 3, 5, 0])
    np.testing.assert_allclose(scaler.scale_, [1, np.sqrt(6), 1, 1])


def test_transform_standardises_numbers_and_leaves_codes():
    values = np.array([[2.0, 0, 5, 1], [4, 6, 5, 0]])
    scaler = TargetScaler().fit(table(values), np.ones((2, 4)), TASKS)
    np.testing.assert_allclose(scaler.transform(values), [[-1, -1, 0, 1], [1, 1, 0, 0]])


def test_weights_count_as_repetitions():
    random = np.random.default_rng(0)
    values = random.normal(3, 7, size=(20, 1))
    counts = random.integers(0, 4, size=20)
    repeated = np.repeat(values, counts, axis=0)
    scaler = TargetScaler().fit(table(values), counts[:, None] * 2.5, TASKS[:1])
    np.testing.assert_allclose(scaler.mean_, repeated.mean(axis=0))
    np.testing.assert_allclose(scaler.scale_, repeated.std(axis=0))


@pytest.mark.parametrize("level", [0.0, 0.1, 1e9, -1e-9])
def test_constant_column_keeps_scale_one(level):
    values = np.full((7, 1), level)
    scaler = TargetScaler().fit(table(values), np.ones((7, 1)), TASKS[:1])
    assert scaler.scale_ == 1
    np.testing.assert_allclose(scaler.mean_, level)


def test_small_spread_far_from_zero_is_still_a_spread():
    values = 1e6 + np.array([[-1e-3], [1e-3]])
    scaler = TargetScaler().fit(table(values), np.ones((2, 1)), TASKS[:1])
    np.testing.assert_allclose(scaler.scale_, 1e-3, rtol=1e-5)


def test_column_without_a_label_keeps_mean_zero_and_scale_one():
    targets = table([[5.0], [6.0]], [[0], [0]])
    scaler = TargetScaler().fit(targets, np.zeros((2, 1)), TASKS[:1])
    assert (scaler.mean_[0], scaler.scale_[0]) == (0, 1)


def test_agrees_with_numpy_on_labelled_cells():
    random = np.random.default_rng(1)
    values = random.lognormal(2, 1, size=(100, 3))
    gaps = np.where(random.random((100, 3)) < 0.3, np.nan, values)
    targets = table(values, ~np.isnan(gaps))
    scaler = TargetScaler().fit(targets, targets.mask.astype(float), TASKS[:2])
    np.testing.assert_allclose(scaler.mean_, np.nanmean(gaps, axis=0))
    np.testing.assert_allclose(scaler.scale_, np.nanstd(gaps, axis=0))
    inside = np.where(targets.mask, scaler.transform(targets.values), np.nan)
    np.testing.assert_allclose(np.nanmean(inside, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.nanstd(inside, axis=0), 1)


def test_counts_are_divided_by_their_mean_and_not_shifted():
    counts = (Task("visits", "count"), Task("none", "count"))
    targets = table([[2, 0], [4, 0], [99, 0]], [[1, 1], [1, 1], [0, 1]])
    weights = np.array([[3.0, 1], [1, 1], [0, 1]])
    scaler = TargetScaler().fit(targets, weights, counts)
    np.testing.assert_allclose(scaler.mean_, [0, 0])
    np.testing.assert_allclose(scaler.scale_, [2.5, 1])
    assert scaler.is_constant_.tolist() == [False, True]
    np.testing.assert_allclose(scaler.transform(targets.values)[:2], [[0.8, 0], [1.6, 0]])


def test_robust_losses_have_robust_scales():
    values = np.array([[1.0], [2], [3], [4], [1e6]])
    robust = (Task("y", "regression", loss="huber"),)
    scaler = TargetScaler().fit(table(values), np.ones((5, 1)), robust)
    # The outlier is so far off that the distance of the others says too little: the deviation.
    assert (scaler.mean_[0], scaler.scale_[0]) == (3.0, pytest.approx(values.std()))
    values[-1] = 30.0
    scaler = TargetScaler().fit(table(values), np.ones((5, 1)), robust)
    assert (scaler.mean_[0], scaler.scale_[0]) == (3.0, pytest.approx(1.4826))
    repeated = TargetScaler().fit(table(values), np.array([[1.0], [1], [1], [9], [1]]), robust)
    assert repeated.mean_[0] == 4.0  # a weight is a repetition
    normal = np.random.default_rng(0).normal(5, 2, size=(20_000, 1))
    scaler = TargetScaler().fit(table(normal), np.ones((20_000, 1)), robust)
    np.testing.assert_allclose([scaler.mean_[0], scaler.scale_[0]], [5, 2], rtol=0.02)


@pytest.mark.parametrize("values", [[0.0, 0, 0, 5, 0], [7.0, 7, 7, 7, 7]])
def test_robust_scales_of_labels_that_are_mostly_alike(values):
    values = np.array(values)[:, None]
    task = (Task("y", "regression", loss="absolute"),)
    scaler = TargetScaler().fit(table(values), np.ones((5, 1)), task)
    assert scaler.scale_[0] == (values.std() or 1.0)
