import numpy as np
import pytest
import torch
from scipy import stats

from skmtl.weighting import RandomWeighting
from tests.oracle import new_seeds, numbers
from tests.weighting.losses import built, doubles, here

LOSSES = doubles([1.0, 2.0, 4.0])


def test_by_hand():
    """The record is that of equal weights, and one task has nothing to share with."""
    module = built(RandomWeighting())
    assert module(LOSSES, here(1, 0, 1)).tolist() == [5]
    assert module.scales(LOSSES, here(0, 1, 0)).tolist() == [[0, 1, 0]]


def test_weights_are_the_softmax_of_what_the_generator_draws():
    module = built(RandomWeighting(), n_members=2)
    generator = torch.Generator().manual_seed(new_seeds().draw())
    for present in (here(1, 1, 1), here(1, 0, 1), here(0, 1, 0)):
        draws = torch.randn(2, 3, generator=generator, dtype=torch.float64).exp().numpy()
        draws = draws * present.numpy()
        expected = draws / draws.sum(1, keepdims=True) * present.sum().item()
        weights = module.scales(LOSSES.expand(2, -1), present)
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-12)


def test_the_logarithms_of_two_weights_differ_by_normal_numbers():
    module = built(RandomWeighting(), n_tasks=2, n_members=4000)
    weights = module.scales(torch.ones(4000, 2, dtype=torch.float64), here(1, 1))
    differences = (weights[:, 0] / weights[:, 1]).log() / np.sqrt(2)
    assert stats.kstest(differences.numpy(), "norm").pvalue > 1e-3
    torch.testing.assert_close(weights.mean(0), doubles(1.0, 1.0), rtol=0, atol=0.05)


def test_each_batch_and_each_member_draws_anew():
    module = built(RandomWeighting(), n_members=2)
    first, second = (module.scales(LOSSES.expand(2, -1), here(1, 1, 1)) for _ in range(2))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    same = [built(RandomWeighting()).scales(LOSSES, here(1, 1, 1)) for _ in range(2)]
    assert torch.equal(*same)
    other = RandomWeighting().build(numbers(*"abc"), 1, new_seeds(1)).double()
    assert not torch.equal(other.scales(LOSSES, here(1, 1, 1)), same[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_there_is_nothing_to_set():
    with pytest.raises(TypeError, match=r"RandomWeighting\(\) takes no arguments"):
        RandomWeighting(temperature=2.0)
