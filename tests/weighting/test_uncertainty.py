import math

import numpy as np
import pytest
import torch
from torchjd import scalarization

from skmtl.heads import HeadSpec, Layout
from skmtl.weighting import Uncertainty
from tests.oracle import new_seeds
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here

LAYOUT = Layout.of([HeadSpec("number", "regression", 1, 0), HeadSpec("label", "binary", 1, 2)])


def test_by_hand():
    """Squared errors have the factor 1/2, cross-entropies 1; s starts at 0."""
    module = Uncertainty(update_every=1, lr=0.1).build(LAYOUT, 1, new_seeds()).double()
    losses, both = doubles([4.0, 3.0]), here(1, 1)
    assert module(losses, both).tolist() == [0.5 * 4 + 3]
    assert module.scales(losses, both).tolist() == [[0.5, 1.0]]
    # Both noises are above 1 (2 f L > 1), so that both s rise, by lr in Adam's first step.
    torch.testing.assert_close(module.log_variance, doubles([0.1, 0.1]))
    expected = 0.5 * math.exp(-0.1) * 4 + math.exp(-0.1) * 3 + 0.1
    torch.testing.assert_close(module(losses, both), doubles(expected))


def test_the_positive_form_by_hand():
    module = Uncertainty(update_every=1, positive=True).build(LAYOUT, 1, new_seeds()).double()
    assert module(doubles([4.0, 3.0]), here(1, 1)).item() == pytest.approx(5 + 2 * math.log(2))


def test_weights_become_the_inverse_of_constant_losses():
    """Half of it, with either factor."""
    torch.testing.assert_close(settled([0.1, 5.0]), doubles([5.0, 0.1]), rtol=1e-3, atol=0)


def test_weights_of_the_positive_form_become_those_of_its_optimum():
    """There ``q = sigma^2`` solves ``-f L / q + q / (1 + q) = 0``."""
    losses, factors = np.array([0.01, 20.0]), np.array([0.5, 1.0])
    variances = [np.roots([1.0, -p, -p]).max() for p in factors * losses]
    found = settled(losses.tolist(), positive=True)
    torch.testing.assert_close(found, torch.tensor((factors / variances)[None]), rtol=1e-3, atol=0)
    root = np.sqrt((factors * losses) ** 2 + 4 * factors * losses)
    np.testing.assert_allclose(factors / variances, 2 * factors / (factors * losses + root))
    assert (found.numpy() < np.sqrt(factors / losses)).all()


def settled(losses, **params):
    """Weights of a regression and a task with classes, after many steps with these losses."""
    module = Uncertainty(lr=0.05, **params).build(LAYOUT, 1, new_seeds()).double()
    for _ in range(3000):
        weights = module.scales(doubles(losses), here(1, 1))
    return weights


@pytest.mark.parametrize("positive", [False, True])
def test_the_step_is_adams_on_the_objective(positive):
    """Each task has s and an Adam of its own; batches without a label of it do not exist."""
    module = (
        Uncertainty(update_every=1, positive=positive, lr=0.03)
        .build(LAYOUT, 1, new_seeds())
        .double()
    )
    names = list(LAYOUT.names)
    factor = [0.5 if name == "number" else 1.0 for name in names]
    s = [torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in names]
    optimizers = [torch.optim.Adam([value], lr=0.03) for value in s]
    for losses, present, _ in made(60, n_tasks=2):
        total, expected = torch.zeros((), dtype=torch.float64), torch.zeros_like(losses)
        for t in present.nonzero().flatten().tolist():
            noise = (1 + s[t].exp()).log() if positive else s[t] / 2
            total = total + factor[t] * (-s[t]).exp() * losses[0, t] + noise
            expected[0, t] = factor[t] * math.exp(-s[t].item())
        torch.testing.assert_close(module(losses, present)[0], total.detach())
        torch.testing.assert_close(module.scales(losses, present), expected)
        if total.requires_grad:
            total.backward()
        for t in present.nonzero().flatten().tolist():
            optimizers[t].step()
            optimizers[t].zero_grad()


def test_for_regressions_it_is_uw_of_torchjd():
    module, theirs = built(Uncertainty(update_every=1, lr=0.03)), scalarization.UW(3).double()
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.03)
    for losses, present, _ in made(40, missing=0.0):
        leaf = losses[0].clone().requires_grad_()
        expected = theirs(leaf)
        torch.testing.assert_close(module(losses, present)[0], expected.detach())
        expected.backward()
        torch.testing.assert_close(module.scales(losses, present)[0], leaf.grad)
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("positive", [False, True])
def test_a_loss_that_stays_zero(positive):
    module = built(Uncertainty(update_every=1, positive=positive, lr=0.5)).float()
    for _ in range(300):  # without a bound, exp(150) would be infinite
        weights = module.scales(torch.tensor([[0.0, 1.0, 1.0]]), here(1, 1, 1))
    assert weights[0, 0] <= 1e8
    assert torch.isfinite(module(torch.zeros(1, 3), here(1, 1, 1))).all()


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"lr": 0.0}, r"`lr` must be a finite number above 0\. Found `lr = 0\.0`"),
        ({"positive": 1}, r"`positive` must be True or False\. Found `positive = 1`"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        built(Uncertainty(update_every=1, **params))


def test_weights_are_kept_between_updates():
    module = built(Uncertainty(update_every=3))
    found = [module.scales(losses, here(1, 1, 1)) for losses, _, _ in made(7, missing=0.0)]
    for first in (0, 3):
        assert torch.equal(found[first], found[first + 2])
        assert not torch.equal(found[first], found[first + 3])
