import numpy as np
import pytest
from torchjd import aggregation

from skmtl.weighting import IMTLG
from skmtl.weighting._imtl_g import imtl_g_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import assert_same_step, each, random, torchjd_step, weights_of


def units(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_by_hand():
    rows = np.array([[2.0, 0.0], [0.0, 0.5]])
    # w ~ 1 / ||g_t||, with a sum of 2
    np.testing.assert_allclose(weights_of(IMTLG(), rows), [0.4, 1.6], rtol=1e-12)


def test_equal_orthogonal_gradients():
    np.testing.assert_allclose(weights_of(IMTLG(), 3 * np.eye(4)), np.ones(4), rtol=1e-12)


@each(kinds=["random", "conflicting", "ill_scaled"])
def test_projections_are_equal_and_positive(rows):
    weights = imtl_g_weights(rows @ rows.T)
    projections = units(rows) @ (weights @ rows)
    np.testing.assert_allclose(projections, projections[0], rtol=1e-7)
    assert projections[0] > 0
    assert np.abs(weights).sum() == pytest.approx(len(rows))


@each()
def test_least_squares(rows):
    expected = np.linalg.lstsq(units(rows), np.ones(len(rows)), rcond=1e-7)[0]
    found = imtl_g_weights(rows @ rows.T) @ rows
    assert_same_step(found, expected, any_length=True)


@each()
def test_torchjd(rows):
    # Of gradients that depend on each other its least squares weigh long ones more: of length 1.
    rows = rows if np.linalg.matrix_rank(units(rows)) == len(rows) else units(rows)
    weights = imtl_g_weights(rows @ rows.T)
    step, expected = weights @ rows, torchjd_step(aggregation.IMTLG(), rows) * len(rows)
    if (weights < 0).any():  # another length, and for a negative sum another sign
        expected = expected * np.sign(step @ expected)
    assert_same_step(step, expected, any_length=(weights < 0).any())


def test_weights_whose_sum_is_negative_lead_downhill():
    """In the paper weights sum to 1, and this step would be turned round."""
    cosines = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.8], [0.3, 0.8, 1.0]])
    lengths = np.array([1.0, 0.001, 1.0])
    gramian = cosines * np.outer(lengths, lengths)
    found = np.linalg.solve(gramian, lengths)
    assert found.sum() < 0
    weights = imtl_g_weights(gramian)
    np.testing.assert_allclose(gramian @ weights / lengths, (gramian @ weights / lengths)[0])
    assert (gramian @ weights > 0).all()


def test_opposing_gradients():
    rows = np.array([[1.0, 0.0], [-3.0, 0.0]])
    np.testing.assert_array_equal(weights_of(IMTLG(), rows), [0.0, 0.0])


def test_noise_of_single_precision_is_no_direction():
    rows = random(3)
    rows[1] = 3 * rows[0]
    single = rows.astype(np.float32)
    noisy = (single @ single.T).astype(float)
    np.testing.assert_allclose(imtl_g_weights(noisy), imtl_g_weights(rows @ rows.T), rtol=1e-4)


def test_wrong_update_every():
    with pytest.raises(ValueError, match=r"`update_every` .*Found `update_every = 0`"):
        IMTLG(update_every=0).build(layout_of(["a", "b"]), 1, new_seeds())
