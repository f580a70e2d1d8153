import copy
from itertools import pairwise

import numpy as np
import pytest
import torch

from skmtl.layers import PiecewiseLinearEncoding, bin_edges, encode_array


def by_hand(x, edges):
    """Eq. (1) of Gorishniy et al., bounded on both sides, number by number."""
    return [min(max((x - a) / (b - a), 0.0), 1.0) for a, b in pairwise(edges)]


@pytest.mark.parametrize("lead", [(7,), (3, 7)], ids=["rows", "members"])
def test_features_and_places(lead):
    random = np.random.default_rng(0)
    x = random.normal(size=(*lead, 4)) * 2
    edges = [np.array([-1.0, 0.0, 0.5, 2.0]), np.array([-3.0, 1.0, 4.0])]
    encoding = PiecewiseLinearEncoding(4, (3, 1), edges).double()
    found = encoding(torch.from_numpy(x)).numpy()
    assert found.shape == (*lead, encoding.out_features) == (*lead, 4 + 3 + 2)
    for row, of_row in zip(x.reshape(-1, 4), found.reshape(-1, 9), strict=True):
        expected = [*row, *by_hand(row[3], edges[0]), *by_hand(row[1], edges[1])]
        np.testing.assert_allclose(of_row, expected, rtol=0, atol=1e-6)  # the edges are float32


@pytest.mark.parametrize("edges", [[[-1.0, 0.1, 0.7], [0.0, 1e-3, 5.0, 6.0]], [[0.0], [1.0]]])
def test_numpy_encodes_to_the_same_bits(edges):
    x = np.random.default_rng(0).normal(size=(50, 3)) * 3
    encoding = PiecewiseLinearEncoding(3, (2, 0), list(map(np.array, edges))).double()
    found = encode_array(x, *encoding.arrays())
    np.testing.assert_array_equal(found, encoding(torch.from_numpy(x)).numpy())


def test_a_flag_or_a_constant_has_no_bins():
    x = torch.randn(5, 3)
    encoding = PiecewiseLinearEncoding(3, (0, 2), [np.array([0.0, 1.0]), np.array([4.0])])
    assert encoding.out_features == 3
    assert encoding(x) is x


def test_it_is_no_part_of_the_state():
    encoding = PiecewiseLinearEncoding(1, (0,), [np.arange(4.0)])
    assert not encoding.state_dict()
    x = torch.rand(3, 1, dtype=torch.float64)
    assert torch.equal(copy.deepcopy(encoding).double()(x), encoding.double()(x))


def test_edges_part_the_rows_evenly():
    numbers = np.random.default_rng(0).permutation(np.arange(800.0))[:, None]
    (edges,) = bin_edges(numbers, 8)
    counts = np.histogram(numbers, edges)[0]
    assert len(counts) == 8
    assert abs(counts - 100).max() <= 1


def test_a_weight_of_two_is_a_row_twice():
    random = np.random.default_rng(0)
    numbers = random.normal(size=(57, 2)) ** 3
    weights = random.integers(0, 4, 57)
    weighted = bin_edges(numbers, 5, weights.astype(float))
    repeated = bin_edges(np.repeat(numbers, weights, axis=0), 5)
    for ours, theirs in zip(weighted, repeated, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_few_values_make_few_bins():
    few, constant = bin_edges(np.array([[1.0, 7.0], [2.0, 7.0], [2.0, 7.0], [3.0, 7.0]]), 8)
    assert few.tolist() == [1.0, 2.0, 3.0]
    assert constant.tolist() == [7.0]


def test_a_stack_has_the_bins_of_each_net():
    edges = [[np.array([0.0, 1.0, 3.0])], [np.array([0.0, 2.0, 4.0])]]
    parts = [PiecewiseLinearEncoding(2, [1], e) for e in edges]
    stack = PiecewiseLinearEncoding.stacked(parts, [2, 1])
    x = torch.rand(3, 4, 2) * 4  # (member, sample, feature)
    expected = torch.cat([parts[0](x[:2]), parts[1](x[2:])])
    torch.testing.assert_close(stack(x), expected, rtol=0, atol=0)
    torch.testing.assert_close(parts[0](x[0]), expected[0], rtol=0, atol=0)  # as it was
