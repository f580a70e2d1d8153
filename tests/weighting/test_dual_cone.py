from itertools import product

import numpy as np
import pytest
from scipy.optimize import nnls

from skmtl.weighting import _dual_cone
from skmtl.weighting._cosines import cosines_of
from skmtl.weighting._dual_cone import pivoted, project_on_dual_cone
from tests.weighting.jacobians import conflicting, duplicates, each, opposing, random


def test_by_hand():
    """``(-1, 1)`` without what conflicts with ``(1, 0)``."""
    rows = np.array([[1.0, 0.0], [-2.0, 1.0]])
    found = project_on_dual_cone(np.ones((1, 2)), rows @ rows.T, 0.0)
    np.testing.assert_allclose(found, [[2.0, 1.0]], rtol=1e-12)


def test_steps_that_harm_nobody_stay():
    gramian = np.abs(random(4)) @ np.abs(random(4)).T
    found = project_on_dual_cone(np.eye(4), gramian, 1e-4)
    np.testing.assert_allclose(found, np.eye(4), rtol=1e-12)


@each()
@pytest.mark.parametrize("reg_eps", [1e-8, 1e-4])
def test_conditions(rows, reg_eps):
    """``v >= u``, ``G v >= 0``, and one of both with equality, in unit gradients."""
    u = np.vstack([np.eye(len(rows)), np.ones(len(rows))])
    assert residual(rows, u, project_on_dual_cone(u, rows @ rows.T, reg_eps), reg_eps) < 1e-8


def residual(rows, u, v, reg_eps):
    """By how much the conditions are not met."""
    lengths = np.linalg.norm(rows, axis=1)
    units = rows / lengths[:, None]
    cosines = units @ units.T + reg_eps * np.eye(len(rows))
    size = np.linalg.norm(u * lengths, axis=1, keepdims=True)
    change, slack = (v - u) * lengths / size, v * lengths @ cosines / size
    assert change.min() > -1e-12
    return max(-slack.min(), np.abs(change * slack).max())


@pytest.mark.parametrize("kind", [random, conflicting, duplicates, opposing])
def test_conditions_for_many_tasks(kind):
    rows = kind(200)
    v = project_on_dual_cone(np.eye(200), rows @ rows.T, 1e-4)
    assert residual(rows, np.eye(200), v, 1e-4) < 1e-12


@each()
def test_pivoting_needs_no_other_solver(rows):
    """And finds the one solution that the other solver finds."""
    cosines = cosines_of(rows @ rows.T)[0] + 1e-4 * np.eye(len(rows))
    x, is_solved = pivoted(cosines, cosines)
    assert is_solved.all()
    factor = np.linalg.cholesky(cosines).T
    expected = [nnls(factor, -factor[:, row])[0] for row in range(len(rows))]
    np.testing.assert_allclose(x, expected, atol=1e-8)


def test_pivoting_says_what_it_has_not_solved():
    """Opposite directions, without a regularisation that parts them; the second row has x = 0."""
    cosines = np.array([[1.0, -1.0], [-1.0, 1.0]])
    x, is_solved = pivoted(cosines, np.array([[-2.0, -1.0], [1.0, 1.0]]))
    assert is_solved.tolist() == [False, True]
    assert not x.any()


def test_rows_that_pivoting_leaves_are_solved_all_the_same(monkeypatch):
    rows, u = conflicting(16), np.eye(16)
    expected = project_on_dual_cone(u, rows @ rows.T, 1e-4)
    monkeypatch.setattr(_dual_cone, "MAX_EXCHANGES", 2)  # one exchange is looked at
    assert not pivoted(rows @ rows.T, rows @ rows.T)[1].all()
    found = project_on_dual_cone(u, rows @ rows.T, 1e-4)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@each(kinds=["random", "conflicting", "duplicates"], n_tasks=[2, 4])
def test_every_set_of_active_tasks(rows):
    """The best of all feasible solutions of ``(G v)_A = 0, v = u elsewhere``."""
    gramian, n = rows @ rows.T + 1e-9 * np.eye(len(rows)), len(rows)
    for u in np.eye(n):
        candidates = [u]
        for chosen in product([False, True], repeat=n):
            a = np.array(chosen)
            if a.any() and np.linalg.matrix_rank(gramian[np.ix_(a, a)], tol=1e-6) == a.sum():
                v = u.copy()
                v[a] = -np.linalg.solve(gramian[np.ix_(a, a)], gramian[np.ix_(a, ~a)] @ u[~a])
                candidates += [v] if (v >= u - 1e-9).all() else []
        best = min(candidates, key=lambda v: v @ gramian @ v)
        found = project_on_dual_cone(u[None], rows @ rows.T, 1e-12)[0]
        np.testing.assert_allclose(found @ rows, best @ rows, atol=1e-6)


def test_short_gradients_are_heard():
    """A task with a gradient a thousandth as long as the other's: its loss may not rise."""
    rows = np.array([[1.0, 0.0], [-8e-4, 6e-4]])
    v = project_on_dual_cone(np.ones((1, 2)), rows @ rows.T, 1e-4)[0]
    step = v @ rows
    assert rows[1] @ step > -1e-3 * np.linalg.norm(rows[1]) * np.linalg.norm(step)


def test_opposing_gradients():
    rows = opposing(4)
    v = project_on_dual_cone(np.eye(4), rows @ rows.T, 1e-4)
    assert np.isfinite(v).all()
    assert np.linalg.norm(v @ rows) < 1e-3


def test_without_regularisation():
    rows = np.vstack([random(3), random(3)])
    v = project_on_dual_cone(np.eye(6), rows @ rows.T, 0.0)
    assert (v @ rows @ rows.T > -1e-9).all()
