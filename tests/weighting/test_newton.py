import numpy as np
import pytest

from skmtl.weighting._newton import solve_fair, typical_length
from tests.weighting.jacobians import each, opposing, random


@pytest.mark.parametrize("length", [1e-150, 1e-10, 1.0, 1e10, 1e150])
def test_the_typical_length(length):
    assert typical_length(length**2 * np.eye(5)) == pytest.approx(length)
    assert typical_length(length**2 * np.ones((4, 4))) == pytest.approx(np.sqrt(2) * length)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_by_hand(alpha):
    """Two gradients of length 1 and cosine c: ``(1 + c) w = w^(-1 / alpha) size^2``."""
    gramian = np.array([[1.0, 0.6], [0.6, 1.0]])
    size = np.linalg.norm(gramian) / np.sqrt(2)
    expected = (size / 1.6) ** (alpha / (alpha + 1))
    np.testing.assert_allclose(solve_fair(gramian, alpha), expected, rtol=1e-12)


@each()
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_the_equation(rows, alpha):
    gramian = rows @ rows.T
    scaled = gramian / typical_length(gramian) ** 2
    weights = solve_fair(gramian, alpha)
    np.testing.assert_allclose((scaled @ weights) * weights ** (1 / alpha), 1.0, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-24, 1e24])
def test_the_scale_of_all_gradients_does_not_matter(scale):
    gramian = random(8) @ random(8).T
    np.testing.assert_allclose(solve_fair(scale * gramian), solve_fair(gramian), rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_opposing_gradients_and_ones_that_almost_oppose(alpha):
    for noise in (0.0, 1e-9, 1e-7):
        rows = opposing(6)
        rows = rows + noise * random(6)[:, : rows.shape[1]]
        weights = solve_fair(rows @ rows.T, alpha)
        assert np.isfinite(weights).all()
        assert np.linalg.norm(weights @ rows) < 0.1
    near = np.array([[1.0, -1 - 1e-7], [-1 - 1e-7, 1.0]])  # no Gramian, by rounding
    assert np.isfinite(solve_fair(near, alpha)).all()


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_what_is_solved_where_gradients_oppose_each_other(alpha):
    """A millionth of its squared length is added to that of each gradient."""
    rows = np.vstack([opposing(4), random(3)[:, :5]])
    gramian = rows @ rows.T / typical_length(rows @ rows.T) ** 2
    regular = gramian + 1e-6 * np.diag(np.diagonal(gramian))
    weights = solve_fair(gramian, alpha)
    np.testing.assert_allclose((regular @ weights) * weights ** (1 / alpha), 1.0, rtol=1e-8)
