import numpy as np
import pytest

from skmtl.features import FeatureEncoder, _scaling
from skmtl.features._scaling import robust_scales, sampled_rows


def test_rows_that_come_in_turns_are_drawn_from_all():
    parts = np.arange(200_000) % 2  # two sites, one after the other
    rows = sampled_rows(len(parts), 10_000)
    assert len(np.unique(rows)) == len(rows) == 10_000
    assert np.all(np.diff(rows) > 0)
    assert parts[rows].mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(rows, sampled_rows(len(parts), 10_000))
    np.testing.assert_array_equal(sampled_rows(5, 10), np.arange(5))


def test_scales_of_many_rows_do_not_hang_on_their_order(monkeypatch):
    monkeypatch.setattr(_scaling, "QUANTILE_ROWS", 5_000)
    random = np.random.default_rng(0)
    turns = np.where(
        np.arange(20_000) % 2, random.normal(1000, 1, 20_000), random.normal(size=20_000)
    )
    (center,), (scale,) = robust_scales(turns[:, None], None)
    shuffled = robust_scales(random.permutation(turns)[:, None], None)
    assert scale == pytest.approx(shuffled[1][0], rel=0.02)
    assert scale == pytest.approx(1000, rel=0.02)
    assert -5 <= center <= 1005


@pytest.mark.parametrize("weights", [None, np.ones(20_000)])
def test_a_column_with_few_numbers_among_many_rows_is_scaled_by_all_of_them(monkeypatch, weights):
    monkeypatch.setattr(_scaling, "QUANTILE_ROWS", 5_000)
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 2))
    X[np.arange(20_000) % 400 > 0, 1] = np.nan  # 50 numbers
    center, scale = robust_scales(X, weights)
    own = X[~np.isnan(X[:, 1]), 1:]
    np.testing.assert_array_equal([center[1:], scale[1:]], robust_scales(own, None))


@pytest.mark.parametrize("numbers", ["robust", "standard"])
def test_numbers_whose_rows_weigh_nothing_count_alike(numbers):
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[:, 2] = X[:, 2] > 0  # a flag
    X[::2, 1:] = np.nan
    weights = np.tile([1.0, 0.0], 25)
    encoded = FeatureEncoder(numbers=numbers).fit(X, sample_weight=weights).transform(X)
    assert np.isfinite(encoded).all()
    alike = FeatureEncoder(numbers=numbers).fit(X).transform(X)
    np.testing.assert_allclose(encoded[:, 1:], alike[:, 1:])
