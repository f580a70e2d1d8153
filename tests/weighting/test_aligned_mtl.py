import numpy as np
import pytest
from torchjd.aggregation import AlignedMTL as TorchJDAlignedMTL

from skmtl.weighting import AlignedMTL
from skmtl.weighting._aligned_mtl import aligned_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import assert_same_step, each, random, torchjd_step, weights_of


def test_by_hand():
    """Orthogonal gradients of lengths 2 and 1/2: both as long as the shorter one."""
    rows = np.array([[2.0, 0.0], [0.0, 0.5]])
    np.testing.assert_allclose(weights_of(AlignedMTL(), rows), [0.25, 1.0], rtol=1e-12)
    rmse = np.sqrt((4 + 0.25) / 2)
    found = weights_of(AlignedMTL(scale="rmse"), rows)
    np.testing.assert_allclose(found, [rmse / 2, rmse / 0.5], rtol=1e-12)


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
def test_equal_orthogonal_gradients_stay(scale):
    np.testing.assert_allclose(weights_of(AlignedMTL(scale=scale), 3 * np.eye(4)), 1, rtol=1e-12)


@each()
@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
def test_torchjd(rows, scale):
    found = aligned_weights(rows @ rows.T, scale) @ rows
    expected = torchjd_step(TorchJDAlignedMTL(scale_mode=scale), rows) * len(rows)
    # Of lengths over six orders its smallest eigenvalue, the square, has few digits left.
    spread = np.ptp(np.log10(np.linalg.norm(rows, axis=1)))
    assert_same_step(found, expected, any_length=spread > 5)


@each()
def test_singular_values(rows):
    """The sum of gradients that have the smallest singular value in place of all."""
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    kept = values > 1e-9 * values[0]
    aligned = values[kept][-1] * left[:, kept] @ right[kept]
    np.testing.assert_allclose(
        aligned_weights(rows @ rows.T) @ rows,
        aligned.sum(0),
        rtol=1e-5,
        atol=1e-5 * np.linalg.norm(aligned.sum(0)),
    )


def test_noise_of_single_precision_is_no_direction():
    rows = random(3)
    rows[1] = 3 * rows[0]
    single = rows.astype(np.float32)
    noisy = (single @ single.T).astype(float)
    found, expected = aligned_weights(noisy), aligned_weights(rows @ rows.T)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_no_such_scale():
    match = r"`scale` must be one of .*Found `scale = 'max'`"
    with pytest.raises(ValueError, match=match):
        AlignedMTL(scale="max").build(layout_of(["a", "b"]), 1, new_seeds())
