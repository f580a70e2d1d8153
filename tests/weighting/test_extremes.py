"""Every weighting by a Gramian on gradients that are hard to tell apart, to add up, or to see.

Gradients are float32, as they come from a network; rounding makes their Gramian slightly
indefinite.  What belongs to a single method is in its own file.
"""

import numpy as np
import pytest
import torch

from skmtl._strategy import strategies
from skmtl.weighting import CAGrad, FairGrad, Weighting
from tests.oracle import GivenGradients, layout_of, new_seeds
from tests.weighting.jacobians import KINDS, opposing, random

NAMES = (
    *("aligned_mtl", "cagrad", "config", "dual_proj", "fairgrad", "gradvac"),
    *("imtl_g", "mgda", "nash_mtl", "pcgrad", "upgrad"),
)
METHODS = {name: strategies(Weighting)[name]() for name in NAMES}
METHODS |= {"cagrad, c=2": CAGrad(c=2.0), "fairgrad, alpha=2": FairGrad(alpha=2.0)}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
WIDTH = 2_000


def near_duplicates(n_tasks, relative):
    """Each gradient twice, with a relative difference."""
    rows = np.vstack([random(n_tasks // 2)] * 2)
    noise = np.random.RandomState(0).standard_normal(rows.shape)
    return rows + relative * noise / np.sqrt(rows.shape[1])


def wide(rows):
    """The same products of many coordinates, whose rounding errors add up."""
    mixed, _ = np.linalg.qr(np.random.RandomState(1).standard_normal((WIDTH, rows.shape[1])))
    return rows @ mixed.T


def weights_by(method, rows, dtype):
    n_tasks = len(rows)
    layout = layout_of([f"t{i}" for i in range(n_tasks)])
    module = method.build(layout, 1, new_seeds()).double()
    losses, present = torch.ones(1, n_tasks, dtype=dtype), torch.ones(n_tasks, dtype=torch.bool)
    gradients = GivenGradients(torch.as_tensor(rows, dtype=dtype)[None])
    return module.direction(losses, present, gradients).weights[0].numpy()


def differences(method, rows):
    """``1 - cosine`` of the steps by float32 and float64, and relative difference of lengths."""
    rows = wide(rows)
    steps = [weights_by(method, rows, dtype) @ rows for dtype in (torch.float32, torch.float64)]
    lengths = [np.linalg.norm(step) for step in steps]
    return 1 - steps[0] @ steps[1] / np.prod(lengths), abs(lengths[0] / lengths[1] - 1)


@pytest.mark.parametrize("n_tasks", [2, 16, 50])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@each_method
def test_single_precision(method, kind, n_tasks):
    angle, length = differences(method, kind(n_tasks))
    assert angle < 1e-6
    assert length < 1e-3


@pytest.mark.parametrize("relative", [1e-1, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
@each_method
def test_gradients_that_are_almost_equal(method, relative):
    """Above or below what counts as noise, 1e-3 of a gradient, float32 and float64 agree."""
    angle, length = differences(method, near_duplicates(8, relative))
    assert angle < 1e-6
    assert length < 1e-2


@each_method
def test_gradients_at_the_limit_of_noise_are_not_blown_up(method):
    """Where two gradients differ by a little more than noise, their difference is asked for.

    Of ConFIG, which bounds no weights, it takes a multiple of the gradients.
    """
    for relative in (1e-2, 3e-3, 2e-3, 1.5e-3):
        rows = wide(near_duplicates(8, relative))
        weights = weights_by(method, rows, torch.float32)
        lengths = np.linalg.norm(rows, axis=1)
        assert np.abs(weights).max() < 1 / relative
        assert np.linalg.norm(weights @ rows) < 3 * lengths.sum()


@pytest.mark.parametrize("n_tasks", [2, 4, 16, 50])
@each_method
def test_opposing_gradients(method, n_tasks):
    """No step is long, and no weight is."""
    rows = wide(opposing(n_tasks))
    weights = weights_by(method, rows, torch.float32)
    assert np.isfinite(weights).all()
    assert np.abs(weights).max() < 10 * n_tasks
    assert np.linalg.norm(weights @ rows) < 2 * np.linalg.norm(rows, axis=1).sum()


@each_method
def test_gradients_of_zero(method):
    """They change nothing for the other tasks, and weigh 1."""
    rows = random(5)
    rows[[1, 4]] = 0
    weights = weights_by(method, rows, torch.float64)
    np.testing.assert_array_equal(weights[[1, 4]], 1)
    assert np.isfinite(weights).all()
    if method.alias not in {"pcgrad", "gradvac"}:  # whose orders are drawn
        alone = weights_by(method, rows[[0, 2, 3]], torch.float64)
        np.testing.assert_allclose(weights[[0, 2, 3]], alone, rtol=1e-9)
    np.testing.assert_array_equal(weights_by(method, 0 * rows, torch.float64), 1)


@pytest.mark.parametrize("scale", [1e-15, 1e15])
@each_method
def test_the_scale_of_all_gradients_does_not_matter(method, scale):
    rows = random(6)
    expected = weights_by(method, rows, torch.float64)
    found = weights_by(method, scale * rows, torch.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@each_method
def test_equal_gradients_weigh_the_same_and_their_sum_is_no_more_than_that(method):
    rows = np.vstack([random(1)] * 6)
    weights = weights_by(method, rows, torch.float32)
    assert np.linalg.norm(weights @ rows) <= np.linalg.norm(rows.sum(0)) * (1 + 1e-6)
    if method.alias not in {"mgda", "cagrad"}:  # to which one of them is as good as all
        np.testing.assert_allclose(weights, weights[0], rtol=1e-4)


@each_method
def test_orthogonal_gradients_of_one_length_weigh_one(method):
    np.testing.assert_allclose(weights_by(method, 3 * np.eye(7), torch.float64), 1.0, rtol=1e-9)
