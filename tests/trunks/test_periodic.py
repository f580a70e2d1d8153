import math

import numpy as np
import pytest
import torch

from skmtl.layers import Inputs, Seeds
from skmtl.trunks import Periodic


def build(n_numbers=3, n_copies=2, **params):
    block = Periodic(**params).build(Inputs((n_numbers,)), tuple(range(n_numbers)))
    module = block.build(n_copies, Seeds.spawn(np.random.RandomState(0))).double()
    assert block.output_shape == (n_numbers, module.weight.shape[-1])
    return module


@pytest.mark.parametrize("lite", [False, True])
@pytest.mark.parametrize("own_input", [False, True])
def test_against_the_package_of_the_authors(lite, own_input):
    package = pytest.importorskip("rtdl_num_embeddings", reason="needs the authors' package")
    module = build(n_copies=3, n_frequencies=4, embedding_dim=5, lite=lite, frequency_scale=1.0)
    theirs = package.PeriodicEmbeddings(3, 5, n_frequencies=4, lite=lite).double()
    x = torch.randn((3, 40, 3) if own_input else (40, 3), dtype=torch.float64)
    h = module(x)
    assert h.shape == (3, 40, 3, 5)
    for copy in range(3):
        weight, bias = module.weight[copy], module.bias[copy, 0]
        with torch.no_grad():
            theirs.periodic.weight.copy_(module.frequencies[copy, 0])
            theirs.linear.weight.copy_(weight[0].T if lite else weight)
            theirs.linear.bias.copy_(bias[0] if lite else bias)
        expected = theirs(x[copy] if own_input else x)
        torch.testing.assert_close(h[copy], expected, rtol=0, atol=1e-12)


def test_by_hand():
    module = build(1, 1, n_frequencies=1, embedding_dim=2)
    with torch.no_grad():
        module.frequencies.fill_(0.25)
        module.weight.copy_(torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]]))
        module.bias.copy_(torch.tensor([0.0, -0.5]))
    h = module(torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64))
    # cos and sin of 0, pi/2 and 3 pi/2; 2 sin - 0.5 behind a ReLU
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.5], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(h[0, :, 0], expected, rtol=0, atol=1e-15)


def test_slow_frequencies_make_a_constant():
    module = build(1, 1, frequency_scale=1e-9)
    h = module(torch.tensor([[-3.0], [3.0]], dtype=torch.float64))
    torch.testing.assert_close(h[0, 0], h[0, 1], rtol=0, atol=1e-6)


def test_frequencies_at_the_start():
    frequencies = build(50, 4, n_frequencies=50, frequency_scale=2.0).frequencies
    assert abs(frequencies.std().item() / 2.0 - 1) < 0.05
    assert frequencies.abs().max() <= 6.0
    assert not math.isclose(frequencies[0].sum().item(), frequencies[1].sum().item())


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_frequencies": 0}, r"`n_frequencies` must be a whole number of at least 1"),
        ({"frequency_scale": 0}, r"`frequency_scale` .* number above 0\. Found .* = 0`"),
        ({"frequency_scale": -1.0}, r"`frequency_scale` must be a finite number above 0"),
        ({"lite": "yes"}, r"`lite` must be True or False\. Found `lite = 'yes'`"),
        ({"embedding_dim": 2.5}, r"Found `embedding_dim = 2\.5`"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        build(**params)
