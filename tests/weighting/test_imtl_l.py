import math

import pytest
import torch
from torchjd import scalarization

from skmtl.weighting import IMTLL, Uncertainty
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here


def test_by_hand():
    module = built(IMTLL(update_every=1, lr=0.1), n_tasks=2)
    losses, both = doubles([4.0, 0.5]), here(1, 1)
    assert module(losses, both).tolist() == [4.5]
    assert module.scales(losses, both).tolist() == [[1, 1]]
    # e^s L above 1 lets s fall, below 1 rise, by lr in Adam's first step.
    torch.testing.assert_close(module.log_scale, doubles([-0.1, 0.1]))
    expected = 4 * math.exp(-0.1) + 0.5 * math.exp(0.1)
    torch.testing.assert_close(module(losses, both), doubles(expected))


def test_weights_become_the_inverse_of_constant_losses():
    module = built(IMTLL(update_every=1, lr=0.05))
    losses = doubles([0.1, 1.0, 5.0])
    for _ in range(2000):
        weights = module.scales(losses, here(1, 1, 1))
    torch.testing.assert_close(weights, 1 / losses, rtol=1e-3, atol=0)


def test_each_task_is_learned_as_by_torchjd_from_the_batches_in_which_it_is_present():
    module = built(IMTLL(update_every=1, lr=0.03), n_members=2)
    theirs = {(m, t): scalarization.IMTLL(1).double() for m in range(2) for t in range(3)}
    optimizers = {k: torch.optim.Adam(s.parameters(), lr=0.03) for k, s in theirs.items()}
    for losses, present, _ in made(60, n_members=2):
        total, weights = torch.zeros(2, dtype=torch.float64), torch.zeros_like(losses)
        for (m, t), scalarizer in theirs.items():
            if present[t]:
                leaf = losses[m, t : t + 1].clone().requires_grad_()
                loss = scalarizer(leaf)
                loss.backward()
                total[m] += loss.detach()
                weights[m, t] = leaf.grad.item()
                optimizers[m, t].step()
                optimizers[m, t].zero_grad()
        torch.testing.assert_close(module(losses, present), total)
        torch.testing.assert_close(module.scales(losses, present), weights)


def test_for_regressions_it_is_twice_uncertainty():
    module, uncertainty = built(IMTLL(update_every=1)), built(Uncertainty(update_every=1))
    for losses, present, _ in made(30):
        torch.testing.assert_close(module(losses, present), 2 * uncertainty(losses, present))
        weights = module.scales(losses, present)
        torch.testing.assert_close(weights, 2 * uncertainty.scales(losses, present))
    torch.testing.assert_close(module.log_scale, -uncertainty.log_variance)


def test_a_loss_that_stays_zero():
    module = built(IMTLL(update_every=1, lr=0.5)).float()
    for _ in range(300):  # without a bound, exp(150) would be infinite
        weights = module.scales(torch.tensor([[0.0, 1.0, 1.0]]), here(1, 1, 1))
    assert weights[0, 0].item() == pytest.approx(1e8, rel=1e-3)
    assert torch.isfinite(module(torch.zeros(1, 3), here(1, 1, 1))).all()


def test_a_wrong_learning_rate():
    with pytest.raises(ValueError, match=r"`lr` must be a finite number above 0\. Found `lr = -1`"):
        built(IMTLL(update_every=1, lr=-1))
