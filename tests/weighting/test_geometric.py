import pytest
import torch
from torchjd import scalarization

from skmtl.weighting import Geometric
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here


def test_by_hand():
    """The mean of 1 and 4 is 2: twice that, and weights 2 / L."""
    module = built(Geometric(eps=1e-12))
    losses, present = doubles([1.0, 4.0, 0.0]), here(1, 1, 0)
    torch.testing.assert_close(module(losses, present), doubles(4.0))
    torch.testing.assert_close(module.scales(losses, present), doubles([2.0, 0.5, 0.0]))


@pytest.mark.parametrize("loss", [1e-6, 0.3, 1e6])
def test_equal_losses_have_equal_weights(loss):
    module = built(Geometric())
    weights = module.scales(torch.full((1, 3), loss, dtype=torch.float64), here(1, 1, 1))
    torch.testing.assert_close(weights, doubles([1.0, 1.0, 1.0]))


@pytest.mark.parametrize("eps", [1e-10, 0.1])
def test_it_is_the_geometric_mean_of_torchjd_over_tasks_that_are_present(eps):
    module = built(Geometric(eps), n_members=2)
    for losses, present, _ in made(n_members=2):
        n = present.sum()
        if not n:
            continue
        for member in range(2):
            leaf = losses[member, present].requires_grad_()
            expected = n * scalarization.GeometricMean()(leaf + eps)
            expected.backward()
            torch.testing.assert_close(module(losses, present)[member], expected.detach())
            weights = module.scales(losses, present)[member]
            torch.testing.assert_close(weights[present], leaf.grad)
            assert not weights[~present].any()


@pytest.mark.parametrize("n_present", [0, 1, 3])
def test_losses_of_zero(n_present):
    module = built(Geometric(eps=1e-8)).float()
    leaf = torch.zeros(1, 3, requires_grad=True)
    present = torch.arange(3) < n_present
    module(leaf, present).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    torch.testing.assert_close(module.scales(leaf.detach(), present), leaf.grad)


def test_a_wrong_eps():
    with pytest.raises(
        ValueError, match=r"`eps` must be a finite number above 0\. Found `eps = 0`"
    ):
        built(Geometric(eps=0))
