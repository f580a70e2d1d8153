import numpy as np
import pytest
from scipy.optimize import minimize

from skmtl.weighting import NashMTL
from skmtl.weighting._nash_mtl import nash_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import (
    N_TASKS,
    assert_same_step,
    each,
    opposing,
    weights_of,
)
from tests.weighting.torchjd_weights import each_of_torchjd


def shares(rows, weights):
    """``w_t g_t . d``, equal for all tasks at the solution."""
    return weights * (rows @ (weights @ rows))


def test_by_hand():
    """Orthogonal gradients: ``l^2 w = 1 / w``, so ``w ~ 1 / l``, and both come to one length."""
    weights = weights_of(NashMTL(), np.diag([1.0, 7.0]))
    np.testing.assert_allclose(weights, [5.0, 5 / 7], rtol=1e-12)


@pytest.mark.parametrize("cosine", [-0.5, 0.0, 0.9])
def test_two_gradients_of_one_length_weigh_the_same(cosine):
    rows = np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
    np.testing.assert_allclose(weights_of(NashMTL(), rows), 1.0, rtol=1e-12)


@pytest.mark.parametrize(("length", "expected"), [(0.1, 1.0), (1.0, 1.0), (8.0, 1 / 8)])
def test_one_task_is_clipped(length, expected):
    assert weights_of(NashMTL(), np.array([[length, 0.0]])) == pytest.approx([1.0])
    found = weights_of(NashMTL(max_norm=1.0), np.array([[length, 0.0]]))
    assert found == pytest.approx([expected])


@each()
def test_all_tasks_have_the_same_share(rows):
    found = shares(rows, nash_weights(rows @ rows.T))
    np.testing.assert_allclose(found, found.mean(), rtol=1e-8)


@each_of_torchjd("nash_mtl")
def test_torchjd(rows, expected):
    assert_same_step(nash_weights(rows @ rows.T) @ rows, expected @ rows, any_length=True)


@each()
def test_the_lengths_of_gradients_and_step(rows):
    gramian, lengths = rows @ rows.T, np.linalg.norm(rows, axis=1)
    weights = nash_weights(gramian)
    assert np.linalg.norm(weights * lengths) == pytest.approx(np.linalg.norm(lengths))
    free = np.linalg.norm(weights @ rows)
    for bound in (0.1 * free, 10 * free):
        bounded = nash_weights(gramian, bound)
        assert np.linalg.norm(bounded @ rows) == pytest.approx(min(bound, free))
        assert_same_step(bounded @ rows, weights @ rows, any_length=True)


@each(kinds=["random", "conflicting", "degenerate", "duplicates"], n_tasks=[2, 4])
def test_a_general_optimiser_of_the_bargain(rows):
    """Maximise ``sum_t log(g_t . d)`` over steps of length 1, from several starts."""
    step = nash_weights(rows @ rows.T) @ rows
    step /= np.linalg.norm(step)

    def value(d):
        gains = rows @ d / np.linalg.norm(d)
        return -np.log(np.maximum(gains, 1e-12)).sum()

    starts = np.random.RandomState(0).standard_normal((4, len(step)))
    found = min(
        (
            minimize(value, step + 0.02 * s, method="Nelder-Mead" if len(step) < 3 else "BFGS")
            for s in starts
        ),
        key=lambda result: result.fun,
    )
    assert value(step) <= found.fun + 1e-7
    assert_same_step(step, found.x / np.linalg.norm(found.x), any_length=True)


@pytest.mark.parametrize("n_tasks", N_TASKS)
def test_opposing_gradients(n_tasks):
    """There is no solution: weights stay finite, and the step is short."""
    rows = opposing(n_tasks)
    weights = nash_weights(rows @ rows.T)
    assert (weights > 0).all()
    assert weights.max() < 10
    assert np.linalg.norm(weights @ rows) < 1e-5


def test_bound_below_zero():
    with pytest.raises(ValueError, match=r"`max_norm` .*above 0\. Found `max_norm = 0\.0`"):
        NashMTL(max_norm=0.0).build(layout_of(["a", "b"]), 1, new_seeds())
