import numpy as np
import pytest
import torch
from torchjd.aggregation import GradVacWeighting

from skmtl.weighting import GradVac
from skmtl.weighting._gradvac import gradvac_weights
from skmtl.weighting._orders import draw_orders
from skmtl.weighting._pcgrad import pcgrad_weights
from tests.oracle import GivenGradients, layout_of, new_seeds
from tests.weighting.jacobians import N_TASKS, conflicting, each, ill_scaled, random, weights_of


def built(n_tasks, n_members=1, **params):
    names = [f"t{i:02}" for i in range(n_tasks)]
    return GradVac(**params).build(layout_of(names), n_members, new_seeds()).double()


def step(module, rows, present=None):
    n_tasks = rows.shape[-2]
    present = torch.ones(n_tasks, dtype=torch.bool) if present is None else present
    rows = torch.as_tensor(rows).reshape(-1, *rows.shape[-2:]) * present[:, None]
    losses = torch.ones(rows.shape[:2], dtype=torch.float64)
    return module.direction(losses, present, GivenGradients(rows)).weights.numpy()


def test_by_hand():
    """A cosine of 0 that should be 0.6: g_1 gets 3/4 of g_2, and the other way round."""
    targets = np.array([[0.0, 0.6], [0.6, 0.0]])
    orders = np.array([[1], [0]])
    weights, moved = gradvac_weights(np.diag([4.0, 1.0]), targets, 0.5, orders)
    np.testing.assert_allclose(weights, [1 + 0.75 / 2, 1 + 0.75 * 2])
    np.testing.assert_allclose(moved, targets / 2)


def test_the_cosines_become_the_targets():
    rows = random(2)
    targets = np.full((2, 2), 0.9)
    weights, _ = gradvac_weights(rows @ rows.T, targets, 0.0, np.array([[1], [0]]))
    first = rows[0] + (weights[1] - 1) * rows[1]
    assert first @ rows[1] / np.linalg.norm(first) / np.linalg.norm(rows[1]) == pytest.approx(0.9)


@each(kinds=["random", "conflicting", "ill_scaled"])
def test_with_targets_of_zero_it_is_pcgrad(rows):
    gramian, n = rows @ rows.T, len(rows)
    orders = draw_orders(n, n, torch.Generator().manual_seed(1))
    found, _ = gradvac_weights(gramian, np.zeros((n, n)), 0.0, orders)
    expected = pcgrad_weights(gramian, torch.Generator().manual_seed(1))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("n_tasks", N_TASKS)
@pytest.mark.parametrize("kind", [random, conflicting, ill_scaled])
@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_torchjd(n_tasks, kind, beta):
    module = built(n_tasks, beta=beta, update_every=1)
    module._generator.manual_seed(5)
    other = GradVacWeighting(beta=beta, eps=0.0)
    torch.manual_seed(5)
    for seed in range(6):
        rows = kind(n_tasks, seed)
        expected = other(torch.tensor(rows @ rows.T)).numpy()
        np.testing.assert_allclose(step(module, rows)[0], expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(module.targets[0], other._phi_t.numpy(), rtol=1e-7, atol=1e-9)


def test_pairs_without_both_tasks_stand_still():
    module = built(3, update_every=1)
    for seed in range(3):
        step(module, random(3, seed))
    before = module.targets.clone()
    present = torch.tensor([True, False, True])
    weights = step(module, conflicting(3), present)
    assert weights[0, 1] == 0
    pairs = present[:, None] & present
    assert torch.equal(module.targets[0, ~pairs], before[0, ~pairs])
    assert not torch.equal(module.targets[0, pairs], before[0, pairs])


def test_a_gradient_of_zero_moves_no_target():
    module = built(3, update_every=1)
    rows = random(3)
    rows[1] = 0
    weights = step(module, rows)
    assert np.isfinite(weights).all()
    assert not module.targets[0, 1].any()
    assert not module.targets[0, :, 1].any()


def test_members_have_targets_of_their_own():
    module = built(3, n_members=2, update_every=1)
    step(module, np.stack([random(3), conflicting(3)]))
    assert not torch.equal(module.targets[0], module.targets[1])


def test_a_member_that_diverges_leaves_the_others_alone():
    modules = [built(3, n_members=2, update_every=1) for _ in range(2)]
    for module in modules:
        step(module, np.stack([random(3), conflicting(3)]))
    first, before = np.full((3, random(3).shape[1]), np.nan), modules[1].targets[0].clone()
    expected = step(modules[0], np.stack([random(3), random(3, 1)]))
    found = step(modules[1], np.stack([first, random(3, 1)]))
    np.testing.assert_array_equal(found[1], expected[1])
    assert torch.equal(modules[1].targets[0], before)
    assert np.isfinite(found).all()


def test_equal_gradients_ask_for_no_multiple_of_each_other():
    module = built(2, beta=1.0, update_every=1)
    row = random(1)
    step(module, np.vstack([row, row]))
    assert module.targets[0, 0, 1] == pytest.approx(1.0)
    weights = step(module, random(2))
    assert np.abs(weights).max() < 20


def test_targets_keep_for_steps_without_an_update():
    module = built(3, update_every=2)
    first = step(module, random(3))
    targets = module.targets.clone()
    np.testing.assert_array_equal(step(module, conflicting(3)), first)
    assert torch.equal(module.targets, targets)


def test_beta_of_no_mean():
    with pytest.raises(ValueError, match=r"`beta` .*at most 1\. Found `beta = 1\.5`"):
        built(2, beta=1.5)


def test_weights_of_the_first_step_are_those_of_pcgrad():
    rows = np.array([[1.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(weights_of(GradVac(), rows), [2.0, 1.5], rtol=1e-12)
