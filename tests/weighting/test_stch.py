import math

import pytest
import torch
from torchjd import scalarization

from skmtl.weighting import STCH
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here

ALL = here(1, 1, 1)


def warm(nadir, **params):
    """A module after its warm-up, which ended with these mean losses."""
    module = built(STCH(**params), n_tasks=len(nadir))
    for epoch in range(module.warmup_epochs):
        factor = module.warmup_epochs - epoch  # those of earlier epochs do not matter
        module.end_epoch(factor * doubles(nadir), torch.ones(len(nadir), dtype=torch.bool))
    return module


def test_by_hand():
    """With mu = 1 it is n log(sum_t L_t / N_t), whose derivative is n / N_t over the sum."""
    module = warm([2.0, 4.0])
    losses, both = doubles([1.0, 1.0]), here(1, 1)
    torch.testing.assert_close(module(losses, both), doubles(2 * math.log(0.75)))
    torch.testing.assert_close(module.scales(losses, both), doubles([2 / 1.5, 1 / 1.5]))


@pytest.mark.parametrize("warmup_epochs", [1, 3])
def test_the_warm_up_has_equal_weights(warmup_epochs):
    module = built(STCH(warmup_epochs=warmup_epochs))
    losses = doubles([1.0, 2.0, 4.0])
    for _ in range(warmup_epochs):
        assert module(losses, here(1, 0, 1)).tolist() == [5]
        assert module.scales(losses, here(1, 0, 1)).tolist() == [[1, 0, 1]]
        module.end_epoch(losses, ALL)
    torch.testing.assert_close(module.scales(losses, ALL), 1 / losses, rtol=1e-6, atol=0)


def test_a_small_mu_means_the_task_that_has_improved_least():
    weights = warm([1.0, 1.0, 1.0], mu=1e-3).scales(doubles([0.5, 0.8, 0.7]), ALL)
    torch.testing.assert_close(weights, doubles([0.0, 3 / 0.8, 0.0]), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("mu", [0.05, 0.5, 2.0])
def test_it_is_stch_of_torchjd_on_logarithms_over_tasks_that_are_present(mu):
    nadir = doubles(0.5, 1.0, 3.0)
    module = warm(nadir.tolist(), mu=mu)
    for losses, present, _ in made(20):
        n = present.sum()
        if not n:
            assert module(losses, present).item() == 0
            continue
        leaf = losses[0, present].requires_grad_()
        theirs = scalarization.STCH(mu, weights=torch.ones(n, dtype=torch.float64))
        expected = n * theirs((leaf / nadir[present]).log())
        expected.backward()
        close = {"rtol": 1e-5, "atol": 1e-6}
        torch.testing.assert_close(module(losses, present)[0], expected.detach(), **close)
        weights = module.scales(losses, present)[0]
        torch.testing.assert_close(weights[present], leaf.grad, **close)
        assert not weights[~present].any()


def test_a_task_whose_labels_come_later():
    module = built(STCH(warmup_epochs=2), n_tasks=3)
    losses = doubles([1.0, 2.0, 4.0])
    for _ in range(3):
        module.end_epoch(losses, here(1, 1, 0))
    # In its first epoch it weighs 1, beside the comparison of the other two.
    torch.testing.assert_close(module.scales(losses, ALL), doubles([1.0, 0.5, 1.0]))
    torch.testing.assert_close(module(losses, ALL), doubles(2 * math.log(2) + 4))
    module.end_epoch(losses / 2, ALL)
    # N_t is 1, 2 and 2: the others keep theirs.
    expected = 3 / losses * doubles([1.0, 1.0, 2.0]) / 4
    torch.testing.assert_close(module.scales(losses, ALL), expected)


def test_a_task_that_the_end_of_the_warm_up_missed_is_measured_when_it_is_back():
    module = built(STCH(warmup_epochs=2), n_tasks=2)
    losses = doubles([1.0, 1.0])
    module.end_epoch(losses, here(1, 1))
    module.end_epoch(losses, here(1, 0))
    assert module.is_known.tolist() == [[True, False]]
    module.end_epoch(0.5 * losses, here(1, 1))
    torch.testing.assert_close(module.log_nadir, doubles([0.0, math.log(0.5)]))


@pytest.mark.parametrize("mu", [1e-3, 1.0])
def test_losses_of_zero(mu):
    module = warm([0.0, 1.0, 2.0], mu=mu).float()
    leaf = torch.zeros(1, 3, requires_grad=True)
    module(leaf, ALL).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    torch.testing.assert_close(module.scales(leaf.detach(), ALL), leaf.grad)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"mu": 0.0}, r"`mu` must be a finite number above 0\. Found `mu = 0\.0`"),
        ({"warmup_epochs": 0}, r"`warmup_epochs` must be a whole number of at least 1\. Found"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        built(STCH(**params))
