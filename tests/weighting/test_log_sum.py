import math

import pytest
import torch

from skmtl.weighting import LogSum
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here


def test_by_hand():
    module = built(LogSum(eps=1e-12))
    losses, present = doubles([math.e, math.e**2, 0.0]), here(1, 1, 0)
    torch.testing.assert_close(module(losses, present), doubles(3.0))
    expected = doubles([math.exp(-1), math.exp(-2), 0.0])
    torch.testing.assert_close(module.scales(losses, present), expected)


def test_losses_of_one_have_equal_weights():
    weights = built(LogSum(eps=1e-12)).scales(doubles([1.0, 1.0, 1.0]), here(1, 1, 1))
    torch.testing.assert_close(weights, doubles([1.0, 1.0, 1.0]))


def test_scales_are_without_effect():
    """Ten times a loss is a constant more, and a tenth of the weight."""
    module, (losses, present, _) = built(LogSum(eps=1e-12)), made(1)[0]
    scaled = losses * doubles([10.0, 1.0, 1.0])
    torch.testing.assert_close(module(scaled, present), module(losses, present) + math.log(10))
    expected = module.scales(losses, present) * doubles([0.1, 1.0, 1.0])
    torch.testing.assert_close(module.scales(scaled, present), expected)


def test_the_weights_are_the_derivative_of_a_loop_over_tasks():
    module = built(LogSum(eps=0.05), n_members=2)
    for losses, present, _ in made(n_members=2):
        leaf = losses.clone().requires_grad_()
        total = sum(torch.log(leaf[m, t] + 0.05) for m in range(2) for t in range(3) if present[t])
        if not present.any():
            continue
        total.backward()
        torch.testing.assert_close(module(losses, present).sum(), total.detach())
        torch.testing.assert_close(module.scales(losses, present), leaf.grad)


def test_a_weight_is_bounded():
    weights = built(LogSum(eps=0.01)).scales(doubles([0.0, 0.0, 1.0]), here(1, 0, 1))
    torch.testing.assert_close(weights, doubles([100.0, 0.0, 1 / 1.01]))


def test_a_wrong_eps():
    with pytest.raises(ValueError, match=r"`eps` must be a finite number above 0\. Found `eps = "):
        built(LogSum(eps=-1e-8))
