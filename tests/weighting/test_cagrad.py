import numpy as np
import pytest
from scipy.optimize import minimize

from skmtl.weighting import CAGrad, _cagrad
from skmtl.weighting._cagrad import cagrad_weights
from skmtl.weighting._mgda import mgda_weights
from skmtl.weighting._min_norm import shortest_in_hull
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import (
    N_TASKS,
    assert_same_step,
    conflicting,
    each,
    ill_scaled,
    opposing,
    weights_of,
)
from tests.weighting.torchjd_weights import each_of_torchjd

RADII = (0.1, 0.4, 0.9, 2.0)
each_radius = pytest.mark.parametrize("c", RADII)


def gap(rows, weights, c):
    """How far the worst task is from the bound by weak duality, over ``||g_t|| ||d||``.

    Any mixture w bounds it: ``min_t g_t . d <= g_w . d <= g_w . g_0 + c ||g_0|| ||g_w||``.
    """
    n = len(rows)
    mixture = weights - 1
    mixture = mixture / mixture.sum()
    assert (mixture >= -1e-15).all()
    mean, step, mixed = rows.mean(0), weights @ rows / n, mixture @ rows
    assert np.linalg.norm(step - mean) == pytest.approx(c * np.linalg.norm(mean), rel=1e-8)
    bound = mixed @ mean + c * np.linalg.norm(mean) * np.linalg.norm(mixed)
    scale = np.linalg.norm(rows, axis=1) * np.linalg.norm(step)
    return ((bound - rows @ step) / scale).max()


def test_by_hand():
    """On a line: the shorter gradient gets all of the mixture, and pulls back."""
    rows = np.array([[1.0, 0.0], [-0.5, 0.0]])
    weights = weights_of(CAGrad(c=0.4, rescale="none"), rows)
    # g_0 = 0.25, d = g_0 - 0.4 * 0.25, for the sum: twice that.  1 + w_2 * 0.4 * 0.25 / 0.5 * 2
    np.testing.assert_allclose(weights, [1.0, 1.4], rtol=1e-12)
    assert weights @ rows[:, 0] == pytest.approx(0.3)


@each()
@each_radius
def test_the_step_is_optimal(rows, c):
    assert gap(rows, cagrad_weights(rows @ rows.T, c, "none"), c) < 1e-8


@each_of_torchjd("cagrad")
def test_torchjd(rows, expected):
    found = cagrad_weights(rows @ rows.T, 0.4, "none")
    assert_same_step(found @ rows, len(rows) * expected @ rows)


@pytest.mark.parametrize("n_tasks", [4, 16, 50])
@pytest.mark.parametrize("c", [0.1, 0.4, 0.9])
def test_the_step_is_optimal_where_gradients_oppose_each_other(n_tasks, c):
    rows = opposing(n_tasks)
    assert gap(rows, cagrad_weights(rows @ rows.T, c, "none"), c) < 1e-8


def objective(gramian, c):
    b = np.full(len(gramian), 1 / len(gramian))
    radius = c * np.sqrt(b @ gramian @ b)
    return lambda w: w @ gramian @ b + radius * np.sqrt(w @ gramian @ w + 1e-16)


@each(n_tasks=[2, 4])
@each_radius
def test_a_general_optimiser_finds_nothing_better(rows, c):
    gramian, n = rows @ rows.T, len(rows)
    gramian = gramian / gramian.mean()  # else the optimiser stops early
    mixture = cagrad_weights(gramian, c, "none") - 1
    value = objective(gramian, c)
    starts = np.random.RandomState(0).dirichlet(np.ones(n), size=8)
    total = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = min(
        minimize(value, start, bounds=[(0, 1)] * n, constraints=total, tol=1e-12).fun
        for start in starts
    )
    assert value(mixture / mixture.sum()) <= best + 1e-8


@pytest.mark.parametrize("n_tasks", [16, 50])
def test_gradients_of_unequal_lengths_where_a_general_optimiser_stops_early(n_tasks):
    """Without a division by the length of the mean gradient, as in other packages."""
    rows = conflicting(n_tasks) * np.geomspace(1e-3, 1e-1, n_tasks)[:, None]
    total = {"type": "eq", "fun": lambda w: w.sum() - 1}
    start, bounds = np.full(n_tasks, 1 / n_tasks), [(0, 1)] * n_tasks
    early = minimize(objective(rows @ rows.T, 0.4), start, bounds=bounds, constraints=total).x
    mean, mixed = rows.mean(0), early @ rows
    other = mean + 0.4 * np.linalg.norm(mean) / np.linalg.norm(mixed) * mixed

    weights = cagrad_weights(rows @ rows.T, 0.4, "none")
    step = weights @ rows
    assert gap(rows, weights, 0.4) < 1e-8
    assert other @ step / np.linalg.norm(other) / np.linalg.norm(step) < 0.95


@each(kinds=["random", "conflicting"])
def test_limits(rows):
    gramian = rows @ rows.T
    np.testing.assert_array_equal(cagrad_weights(gramian, 0.0), np.ones(len(rows)))
    expected = mgda_weights(gramian, np.ones(len(rows)))
    assert_same_step(cagrad_weights(gramian, 1e6) @ rows, expected @ rows, any_length=True)


@pytest.mark.parametrize(
    ("rescale", "expected"), [("none", 1.4), ("linear", 1), ("square", 1.4 / 1.16)]
)
def test_orthogonal_gradients(rescale, expected):
    weights = weights_of(CAGrad(c=0.4, rescale=rescale), np.eye(5))
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_a_mixture_that_vanishes():
    """Two opponents and a third task: the third may go on, and the others are left alone."""
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    weights = cagrad_weights(rows @ rows.T, 0.4, "none")
    np.testing.assert_allclose(weights @ rows, [0.0, 1.0], atol=1e-5)
    assert np.abs(weights).max() < 10


@pytest.mark.parametrize("c", [0.4, 1.0, 3.0])
def test_gradients_that_cancel(c):
    rows = np.array([[1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_allclose(cagrad_weights(rows @ rows.T, c) @ rows, 0, atol=1e-12)


@pytest.mark.parametrize("n_tasks", N_TASKS)
def test_a_ball_that_holds_a_harmless_step(n_tasks):
    """With c > 1 the step harms nobody, even where nothing helps all."""
    rows = opposing(n_tasks)
    step = cagrad_weights(rows @ rows.T, 2.0) @ rows
    assert (rows @ step >= -1e-5 * np.linalg.norm(rows, axis=1)).all()


@pytest.mark.parametrize("n_tasks", N_TASKS)
@pytest.mark.parametrize(("kind", "c"), [(conflicting, 0.4), (ill_scaled, 0.4), (opposing, 2.0)])
def test_few_hulls_lead_to_the_step(n_tasks, kind, c, monkeypatch):
    """A search without the quadratic equation takes about fifty."""
    solved = []

    def counting(vectors):
        solved.append(vectors)
        return shortest_in_hull(vectors)

    monkeypatch.setattr(_cagrad, "shortest_in_hull", counting)
    rows = kind(n_tasks)
    cagrad_weights(rows @ rows.T, c)
    assert 1 <= len(solved) <= 12


def test_the_scale_of_all_gradients_does_not_matter():
    rows = ill_scaled(16)
    gramian = rows @ rows.T
    found = [cagrad_weights(scale * gramian, 0.4) for scale in (1e-20, 1.0, 1e20)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    np.testing.assert_allclose(found[2], found[1], rtol=1e-6)


def test_wrong_parameters():
    layout = layout_of(["a", "b"])
    with pytest.raises(ValueError, match=r"`c` .*at least 0\. Found `c = -1\.0`"):
        CAGrad(c=-1.0).build(layout, 1, new_seeds())
    with pytest.raises(ValueError, match=r"`rescale` must be one of .*Found `rescale = 1`"):
        CAGrad(rescale=1).build(layout, 1, new_seeds())
