import numpy as np
import pytest
from scipy.optimize import minimize
from torchjd import aggregation

from skmtl.weighting import MGDA
from skmtl.weighting._mgda import mgda_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import assert_same_step, each, random, torchjd_step, weights_of


def test_by_hand():
    """Orthogonal gradients of lengths 1 and 2: w = (4/5, 1/5), for the sum twice that."""
    weights = weights_of(MGDA(), np.diag([1.0, 2.0]))
    np.testing.assert_allclose(weights, [1.6, 0.4], rtol=1e-12)


def test_a_long_gradient_along_a_short_one_has_no_weight():
    np.testing.assert_allclose(weights_of(MGDA(), np.array([[1.0, 0.0], [3.0, 1.0]])), [2.0, 0.0])


@each()
def test_conditions(rows):
    """Products with the step: at least its square, equal to it where there is a weight."""
    weights = mgda_weights(rows @ rows.T, np.ones(len(rows))) / len(rows)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    step = weights @ rows
    excess = (rows @ step - step @ step) / (np.linalg.norm(rows, axis=1) * np.linalg.norm(step))
    assert excess.min() > -1e-8
    assert np.abs(excess[weights > 0]).max() < 1e-8


@each(kinds=["random", "conflicting", "degenerate", "duplicates"], n_tasks=[2, 4])
def test_a_general_optimiser(rows):
    gramian, n = rows @ rows.T, len(rows)
    total = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = min(
        minimize(
            lambda w: w @ gramian @ w, start, bounds=[(0, 1)] * n, constraints=total, tol=1e-14
        ).fun
        for start in np.random.RandomState(0).dirichlet(np.ones(n), size=4)
    )
    weights = mgda_weights(gramian, np.ones(n)) / n
    assert weights @ gramian @ weights <= best + 1e-10


@each(kinds=["random", "conflicting"])
def test_torchjd(rows):
    other = aggregation.MGDA(epsilon=1e-7, max_iters=2000)
    expected = torchjd_step(other, rows) * len(rows)
    found = mgda_weights(rows @ rows.T, np.ones(len(rows))) @ rows
    assert np.linalg.norm(found) <= np.linalg.norm(expected) * (1 + 1e-9)
    if len(rows) <= 4:  # with more, its steps have not come all the way
        assert_same_step(found, expected)


@pytest.mark.parametrize(
    ("normalize", "norms"), [("l2", [2.0, 0.5]), ("loss", [3.0, 1.0]), ("loss+", [6.0, 0.5])]
)
def test_gradients_are_divided_before(normalize, norms):
    rows = np.diag([2.0, 0.5])
    found = weights_of(MGDA(normalize=normalize), rows, losses=np.array([3.0, 1.0]))
    expected = weights_of(MGDA(), rows / np.array(norms)[:, None])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_loss_of_zero_divides_nothing():
    found = weights_of(MGDA(normalize="loss"), np.eye(2), losses=np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, [1.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize("n_tasks", [2, 16, 50])
def test_lengths_over_twelve_orders_of_magnitude(n_tasks):
    for seed in range(5):
        rows = random(n_tasks, seed) * np.geomspace(1e-6, 1e6, n_tasks)[:, None]
        weights = mgda_weights(rows @ rows.T, np.ones(n_tasks))
        assert np.isfinite(weights).all()
        assert weights.argmax() < n_tasks / 2


def test_opposing_gradients():
    rows = np.array([[1.0, 1.0], [-2.0, -2.0]])
    np.testing.assert_allclose(weights_of(MGDA(), rows) @ rows, 0, atol=1e-12)


def test_no_such_normalisation():
    match = r"`normalize` must be one of .*Found `normalize = 'l1'`"
    with pytest.raises(ValueError, match=match):
        MGDA(normalize="l1").build(layout_of(["a", "b"]), 1, new_seeds())
