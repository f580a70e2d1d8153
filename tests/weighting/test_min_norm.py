import numpy as np
import pytest

from skmtl.weighting._min_norm import shortest_in_hull
from tests.weighting.jacobians import each, random


def test_by_hand():
    np.testing.assert_allclose(shortest_in_hull(np.diag([1.0, 2.0])), [0.8, 0.2], rtol=1e-12)


def test_a_vector_of_zero():
    np.testing.assert_array_equal(shortest_in_hull(np.array([[1.0, 0.0], [2.0, 0.0]])), [0, 1])


@each()
def test_conditions(rows):
    weights = shortest_in_hull(rows.T)
    found = weights @ rows
    excess = (rows @ found - found @ found) / np.linalg.norm(rows, axis=1) / np.linalg.norm(found)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    assert excess.min() > -1e-9
    assert np.abs(excess[weights > 0]).max() < 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_lengths_over_many_orders_in_few_dimensions(seed):
    """Where a solver whose columns are not of one size ran into its limit of iterations."""
    rows = random(50, seed)[:, :25] * np.geomspace(1e-6, 1, 50)[:, None]
    weights = shortest_in_hull(rows.T)
    assert np.isfinite(weights).all()
