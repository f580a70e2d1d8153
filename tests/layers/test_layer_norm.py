import pytest
import torch
from torch.nn import functional as F

from skmtl.layers import StackedLayerNorm


def make(n_copies, n_features):
    layer = StackedLayerNorm(n_copies, n_features).double()
    with torch.no_grad():
        layer.scale.normal_()
        layer.bias.normal_()
    return layer


@pytest.mark.parametrize("n_copies", [1, 3])
@pytest.mark.parametrize("n_samples", [1, 7])
@pytest.mark.parametrize("own_input", [False, True])
def test_every_copy_is_a_layer_norm(n_copies, n_samples, own_input):
    layer = make(n_copies, 5)
    x = torch.randn((n_copies, n_samples, 5) if own_input else (n_samples, 5)).double()
    y = layer(x)
    assert y.shape == (n_copies, n_samples, 5)
    for copy in range(n_copies):
        scale, bias = layer.scale[copy, 0], layer.bias[copy, 0]
        expected = F.layer_norm(x[copy] if own_input else x, (5,), scale, bias)
        torch.testing.assert_close(y[copy], expected, rtol=0, atol=1e-14)


def test_by_hand():
    layer = StackedLayerNorm(1, 3, eps=0.0).double()
    y = layer(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))  # variance 2/3
    expected = torch.tensor([[[-(1.5**0.5), 0.0, 1.5**0.5]]], dtype=torch.float64)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-14)


def test_at_the_start_only_the_spread_of_a_sample_counts():
    x = torch.randn(4, 6, dtype=torch.float64)
    layer = StackedLayerNorm(2, 6, eps=0.0).double()
    torch.testing.assert_close(layer(x), layer(5 * x - 2), rtol=0, atol=1e-12)


def test_constant_samples_stay_finite():
    x = torch.ones(3, 4, requires_grad=True)
    y = StackedLayerNorm(2, 4)(x)
    y.sum().backward()
    assert (y == 0).all()
    assert torch.isfinite(x.grad).all()


def test_another_width_is_an_error():
    with pytest.raises(RuntimeError, match="must match the size of tensor"):
        make(1, 5)(torch.randn(2, 4).double())
