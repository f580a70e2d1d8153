import numpy as np
import pytest
import torch
from torchjd.aggregation import PCGradWeighting

from skmtl.weighting import PCGrad
from skmtl.weighting._pcgrad import pcgrad_weights
from tests.oracle import layout_of, new_seeds
from tests.weighting.jacobians import each, random, weights_of


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_by_hand():
    rows = np.array([[1.0, 0.0], [-1.0, 1.0]])
    # g_1 + g_2 / 2 and g_2 + g_1
    np.testing.assert_allclose(weights_of(PCGrad(), rows), [2.0, 1.5], rtol=1e-12)


def test_without_conflicts_it_is_the_sum():
    np.testing.assert_array_equal(weights_of(PCGrad(), np.abs(random(5))), np.ones(5))


@each()
def test_torchjd(rows):
    gramian = rows @ rows.T
    found = pcgrad_weights(gramian, generator(3))
    torch.manual_seed(3)
    expected = PCGradWeighting()(torch.tensor(gramian)).numpy()
    lengths = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(found * lengths, expected * lengths, rtol=1e-6, atol=1e-8)


def by_the_paper(rows, orders):
    total = np.zeros(rows.shape[1])
    for i, order in enumerate(orders):
        bent = rows[i].copy()
        for j in order:
            if j != i and bent @ rows[j] < 0:
                bent -= bent @ rows[j] / (rows[j] @ rows[j]) * rows[j]
        total += bent
    return total


@each(kinds=["random", "conflicting", "ill_scaled"])
def test_the_algorithm_on_vectors(rows):
    drawn = generator(7)
    orders = [torch.randperm(len(rows), generator=drawn).tolist() for _ in rows]
    found = pcgrad_weights(rows @ rows.T, generator(7)) @ rows
    np.testing.assert_allclose(found, by_the_paper(rows, orders), rtol=1e-9, atol=1e-12)


def test_opposing_gradients_cancel():
    weights = weights_of(PCGrad(), np.array([[1.0, 2.0], [-3.0, -6.0]]))
    np.testing.assert_allclose(weights @ [[1.0, 2.0], [-3.0, -6.0]], 0, atol=1e-12)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    weights_of(PCGrad(), random(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_no_way_to_take_gradients():
    with pytest.raises(ValueError, match=r"`wrt` must be one of .*Found `wrt = 'heads'`"):
        PCGrad(wrt="heads").build(layout_of(["a", "b"]), 1, new_seeds())
