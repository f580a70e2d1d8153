import pytest
import torch
from torchjd import scalarization

from skmtl.weighting import Equal, resolve_weighting
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here


def test_by_hand():
    module = built(Equal(), n_members=2)
    losses = doubles([1.0, 10.0, 100.0], [2.0, 20.0, 200.0])
    assert module(losses, here(1, 1, 1)).tolist() == [111, 222]
    assert module.scales(losses, here(1, 1, 1)).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_nothing_is_learned():
    module = built(Equal())
    assert module.is_constant
    assert not list(module.parameters())


def test_it_is_the_sum_of_torchjd():
    module = built(Equal())
    for losses, present, _ in made():
        expected = scalarization.Sum()(losses[0, present])
        torch.testing.assert_close(module(losses, present)[0], expected)


def test_a_near_miss_of_its_name():
    with pytest.raises(ValueError, match=r"`loss_weights = 'equl'`\. Did you mean 'equal'\?"):
        resolve_weighting("equl", ["a"])
