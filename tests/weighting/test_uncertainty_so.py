import math

import pytest
import torch

from skmtl.weighting import UncertaintySO
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here


def test_by_hand():
    """1 / L is 1 and 1 + log 3: the shares are 1/4 and 3/4 of 2."""
    module = built(UncertaintySO(temperature=1.0, eps=1e-12))
    losses = doubles([1.0, 1 / (1 + math.log(3.0)), 0.0])
    present = here(1, 1, 0)
    torch.testing.assert_close(module.scales(losses, present), doubles([0.5, 1.5, 0.0]))
    expected = 0.5 + 1.5 / (1 + math.log(3.0))
    assert module(losses, present).item() == pytest.approx(expected)


def test_a_high_temperature_means_equal_weights():
    module = built(UncertaintySO(temperature=1e6))
    weights = module.scales(doubles([0.1, 1.0, 10.0]), here(1, 1, 1))
    torch.testing.assert_close(weights, doubles([1.0, 1.0, 1.0]), rtol=0, atol=1e-4)


def test_the_formula_of_the_paper_over_tasks_that_are_present():
    temperature, eps = 3.0, 0.05
    module = built(UncertaintySO(temperature, eps), n_members=2)
    for losses, present, _ in made(n_members=2):
        weights = module.scales(losses, present)
        for member in range(2):
            scores = {
                t: math.exp(1 / (losses[member, t].item() + eps) / temperature)
                for t in range(3)
                if present[t]
            }
            for t in range(3):
                share = scores.get(t, 0.0) / max(sum(scores.values()), 1e-9)
                assert weights[member, t].item() == pytest.approx(len(scores) * share)


def test_the_weights_are_constants_of_the_step():
    module, (losses, present, _) = built(UncertaintySO()), made(1)[0]
    leaf = losses.clone().requires_grad_()
    module(leaf, present).sum().backward()
    torch.testing.assert_close(leaf.grad, module.scales(losses, present))


@pytest.mark.parametrize("name", ["temperature", "eps"])
def test_wrong_parameters(name):
    match = rf"`{name}` must be a finite number above 0\. Found `{name} = 0`"
    with pytest.raises(ValueError, match=match):
        built(UncertaintySO(**{name: 0}))
