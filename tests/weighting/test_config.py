import numpy as np
import pytest
from torchjd.aggregation import ConFIG as TorchJDConFIG

from skmtl.weighting import ConFIG
from skmtl.weighting._config import config_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import assert_same_step, each, torchjd_step, weights_of


def test_by_hand():
    rows = np.array([[3.0, 0.0], [0.0, 1.0]])
    # Direction (1, 1) / sqrt(2), as long as 3 / sqrt(2) + 1 / sqrt(2): the step is (2, 2).
    np.testing.assert_allclose(weights_of(ConFIG(), rows), [2 / 3, 2.0], rtol=1e-12)


def test_equal_orthogonal_gradients():
    np.testing.assert_allclose(weights_of(ConFIG(), 3 * np.eye(4)), np.ones(4), rtol=1e-12)


@each()
def test_torchjd(rows):
    found = config_weights(rows @ rows.T) @ rows
    assert_same_step(found, torchjd_step(TorchJDConFIG(), rows))


@each(kinds=["random", "conflicting", "ill_scaled"])
def test_cosines_are_equal(rows):
    step = config_weights(rows @ rows.T) @ rows
    cosines = rows @ step / np.linalg.norm(rows, axis=1) / np.linalg.norm(step)
    np.testing.assert_allclose(cosines, cosines[0], rtol=1e-7)
    assert cosines[0] > 0
    length = rows @ step / np.linalg.norm(step)
    assert np.linalg.norm(step) == pytest.approx(length.sum())


def test_opposing_gradients():
    rows = np.array([[1.0, 0.0], [-3.0, 0.0]])
    np.testing.assert_array_equal(weights_of(ConFIG(), rows), [0.0, 0.0])


def test_no_way_to_take_gradients():
    with pytest.raises(ValueError, match=r"`wrt` must be one of .*Found `wrt = 'all'`"):
        ConFIG(wrt="all").build(layout_of(["a", "b"]), 1, new_seeds())
