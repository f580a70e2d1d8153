import numpy as np
import pytest
from scipy.optimize import minimize
from torchjd.aggregation import DualProj as TorchJDDualProj

from skmtl.weighting import DualProj
from skmtl.weighting._dual_proj import dual_proj_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import Bounded, assert_same_step, each, torchjd_step, weights_of
from tests.weighting.torchjd_weights import each_of_torchjd


def test_by_hand():
    """The sum (-1, 1) conflicts with (1, 0): (0, 1) does not."""
    rows = np.array([[1.0, 0.0], [-2.0, 1.0]])
    np.testing.assert_allclose(dual_proj_weights(rows @ rows.T, 0.0), [2.0, 1.0], rtol=1e-12)


def test_equal_orthogonal_gradients():
    np.testing.assert_array_equal(weights_of(DualProj(), 3 * np.eye(4)), np.ones(4))


@each(kinds=["random", "conflicting", "degenerate", "duplicates"], n_tasks=[2, 4])
def test_the_closest_harmless_step(rows):
    """By a general optimiser in the space of steps."""
    total = rows.sum(0)
    harmless = {"type": "ineq", "fun": lambda d: rows @ d, "jac": lambda _: rows}
    result = minimize(
        lambda d: ((d - total) ** 2).sum(),
        total,
        jac=lambda d: 2 * (d - total),
        constraints=harmless,
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert_same_step(dual_proj_weights(rows @ rows.T, 1e-10) @ rows, result.x)


@each(kinds=["random", "conflicting", "degenerate", "duplicates"])
def test_torchjd_with_scipys_least_squares(rows):
    expected = torchjd_step(TorchJDDualProj(projector=Bounded()), rows) * len(rows)
    assert_same_step(dual_proj_weights(rows @ rows.T, 1e-10) @ rows, expected)


@each_of_torchjd("dual_proj")
def test_torchjd_with_quadprog(rows, expected):
    found = dual_proj_weights(rows @ rows.T, 1e-14)
    assert_same_step(found @ rows, len(rows) * expected @ rows)


@each()
def test_weights_are_at_least_one(rows):
    assert (dual_proj_weights(rows @ rows.T) >= 1 - 1e-12).all()


def test_negative_regularisation():
    with pytest.raises(ValueError, match=r"`reg_eps` .*at least 0\. Found `reg_eps = -0\.5`"):
        DualProj(reg_eps=-0.5).build(layout_of(["a", "b"]), 1, new_seeds())
