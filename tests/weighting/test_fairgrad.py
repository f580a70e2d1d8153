import numpy as np
import pytest
import torch
from torchjd.aggregation import FairGrad as TorchJDFairGrad

from skmtl.weighting import FairGrad
from skmtl.weighting._fairgrad import fair_weights
from skmtl.weighting._nash_mtl import nash_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import (
    N_TASKS,
    assert_same_step,
    each,
    opposing,
    torchjd_step,
    weights_of,
)


def residual(gramian, weights, alpha):
    """Relative spread of ``(G w) w^(1 / alpha)``, which is one number at the solution."""
    found = (gramian @ weights) * weights ** (1 / alpha)
    return np.abs(found / found.mean() - 1).max()


def test_by_hand():
    """Orthogonal gradients: ``l^2 w = w^(-1/2)``, so ``w ~ l^(-4/3)``, of 65 as square length."""
    weights = weights_of(FairGrad(alpha=2.0), np.diag([1.0, 8.0]))
    np.testing.assert_allclose(weights, np.sqrt(65 / 1.25) * np.array([1, 1 / 16]), rtol=1e-12)


def test_equal_orthogonal_gradients():
    np.testing.assert_allclose(weights_of(FairGrad(alpha=3.0), 3 * np.eye(4)), 1, rtol=1e-12)


@each()
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_the_equation_holds(rows, alpha):
    gramian = rows @ rows.T
    assert residual(gramian, fair_weights(gramian, alpha), alpha) < 1e-8


@each()
def test_an_alpha_of_one_is_the_bargain(rows):
    gramian = rows @ rows.T
    np.testing.assert_allclose(fair_weights(gramian, 1.0), nash_weights(gramian), rtol=1e-9)


def test_small_alphas_are_equal_weights_and_large_ones_equal_gains():
    rows = np.diag([1.0, 2.0, 3.0]) + 0.1
    gramian = rows @ rows.T
    np.testing.assert_allclose(fair_weights(gramian, 0.01), 1.0, rtol=0.05)
    gains = gramian @ fair_weights(gramian, 100.0)
    np.testing.assert_allclose(gains, gains[0], rtol=0.05)


@each(kinds=["random", "conflicting", "degenerate", "duplicates"])
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_torchjd(rows, alpha):
    expected = torchjd_step(TorchJDFairGrad(alpha), rows)
    assert_same_step(fair_weights(rows @ rows.T, alpha) @ rows, expected, any_length=True)


@each(kinds=["ill_scaled"])
def test_closer_than_torchjd(rows):
    gramian = rows @ rows.T
    other = TorchJDFairGrad(1.0).gramian_weighting(torch.tensor(gramian)).numpy()
    found = residual(gramian, fair_weights(gramian, 1.0), 1.0)
    assert found <= max(residual(gramian, other, 1.0), 1e-12)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("n_tasks", N_TASKS)
def test_opposing_gradients(n_tasks, alpha):
    rows = opposing(n_tasks)
    weights = fair_weights(rows @ rows.T, alpha)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert np.linalg.norm(weights @ rows) < 1e-3


def test_no_fairness():
    with pytest.raises(ValueError, match=r"`alpha` .*above 0\. Found `alpha = 0\.0`"):
        FairGrad(alpha=0.0).build(layout_of(["a", "b"]), 1, new_seeds())
