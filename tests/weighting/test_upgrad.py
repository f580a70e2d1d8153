import numpy as np
import pytest
from torchjd.aggregation import UPGrad as TorchJDUPGrad

from skmtl.weighting import UPGrad
from skmtl.weighting._upgrad import upgrad_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import Bounded, assert_same_step, each, torchjd_step, weights_of
from tests.weighting.torchjd_weights import each_of_torchjd


def test_by_hand():
    """g_2 conflicts: g_1 loses its part against it, g_2 its part against g_1."""
    rows = np.array([[1.0, 0.0], [-1.0, 1.0]])
    # e_1 + g_2 / 2 . . . and g_2 + g_1
    weights = upgrad_weights(rows @ rows.T, 0.0)
    np.testing.assert_allclose(weights, [2.0, 1.5], rtol=1e-12)


def test_equal_orthogonal_gradients():
    np.testing.assert_allclose(weights_of(UPGrad(), 3 * np.eye(4)), np.ones(4), rtol=1e-12)


@each(kinds=["random", "conflicting", "degenerate", "duplicates"], n_tasks=[2, 4, 16])
def test_torchjd_with_scipys_least_squares(rows):
    found = upgrad_weights(rows @ rows.T, 1e-10) @ rows
    expected = torchjd_step(TorchJDUPGrad(projector=Bounded()), rows) * len(rows)
    assert_same_step(found, expected)


@each_of_torchjd("upgrad")
def test_torchjd_with_quadprog(rows, expected):
    found = upgrad_weights(rows @ rows.T, 1e-14)
    assert_same_step(found @ rows, len(rows) * expected @ rows)


@each()
def test_no_task_is_harmed(rows):
    """But for the share of its gradient that keeps weights bounded."""
    step = upgrad_weights(rows @ rows.T, 1e-10) @ rows
    lengths = np.linalg.norm(rows, axis=1)
    assert (rows @ step > -1e-6 * lengths * np.linalg.norm(step)).all()


def test_small_gramians_are_no_zeros():
    rows = 1e-3 * np.array([[1.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(weights_of(UPGrad(), rows), [2.0, 1.5], rtol=1e-3)


def test_negative_regularisation():
    with pytest.raises(ValueError, match=r"`reg_eps` .*at least 0\. Found `reg_eps = -1`"):
        UPGrad(reg_eps=-1).build(layout_of(["a", "b"]), 1, new_seeds())
