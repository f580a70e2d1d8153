import numpy as np
import pytest

from skmtl.weighting._cosines import cosines_of, equal_projections, of_usual_size, rank_of
from tests.weighting.jacobians import each


def test_by_hand():
    cosines, lengths = cosines_of(np.array([[4.0, -1.0], [-1.0, 1.0]]))
    np.testing.assert_allclose(cosines, [[1, -0.5], [-0.5, 1]])
    np.testing.assert_allclose(lengths, [2, 1])


def test_rounding_leaves_cosines():
    cosines, _ = cosines_of(np.array([[1e-44, -3e-44], [-3e-44, 1e-44]]))
    np.testing.assert_array_equal(cosines, [[1, -1], [-1, 1]])


@each(kinds=["degenerate", "duplicates"])
def test_the_rank_and_that_of_single_precision(rows):
    expected = np.linalg.matrix_rank(rows)
    assert rank_of(cosines_of(rows @ rows.T)[0]) == expected
    single = rows.astype(np.float32)
    assert rank_of(cosines_of((single @ single.T).astype(float))[0]) == expected


@each(kinds=["ill_scaled"])
def test_short_gradients_are_no_noise(rows):
    assert rank_of(cosines_of(rows @ rows.T)[0]) == len(rows)


def test_equal_projections():
    cosines = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, -0.4], [0.2, -0.4, 1.0]])
    np.testing.assert_allclose(cosines @ equal_projections(cosines), np.ones(3), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 3])
def test_opposing_directions_have_none(n):
    directions = np.vstack([np.eye(n), -np.eye(n)])
    np.testing.assert_array_equal(equal_projections(directions @ directions.T), np.zeros(2 * n))


@each()
@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e140])
def test_gradients_keep_their_lengths_in_the_mean(rows, scale):
    lengths = np.linalg.norm(rows, axis=1)
    found = of_usual_size(scale / lengths, rows @ rows.T)
    expected = np.linalg.norm(lengths) / np.sqrt(len(rows)) / lengths
    np.testing.assert_allclose(found, expected, rtol=1e-9)
