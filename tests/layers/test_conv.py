import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmtl.layers import StackedConv2d


def make(n_copies, n_in, n_out, size, seed=0):
    return StackedConv2d(n_copies, n_in, n_out, size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_copies", [1, 3])
@pytest.mark.parametrize("n_samples", [1, 4])
@pytest.mark.parametrize("own_input", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_every_copy_is_a_convolution(n_copies, n_samples, own_input, size):
    layer = make(n_copies, 2, 3, size).double()
    shape = (n_copies, n_samples, 2, 6, 5) if own_input else (n_samples, 2, 6, 5)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    assert y.shape == (n_copies, n_samples, 3, 6, 5)
    before, after = (size - 1) // 2, size // 2
    expected = torch.stack(
        [
            F.conv2d(
                F.pad(x[copy] if own_input else x, (before, after, before, after)),
                layer.weight[copy],
                layer.bias[copy],
            )
            for copy in range(n_copies)
        ]
    )
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-14)
    leaves, seed = [x, *layer.parameters()], torch.randn_like(y)
    ours = torch.autograd.grad(y, leaves, seed)
    for mine, theirs in zip(ours, torch.autograd.grad(expected, leaves, seed), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_by_hand():
    layer = make(1, 1, 1, 3).double()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[..., 1, 2] = 2.0  # twice the pixel on the right
        layer.bias.fill_(0.5)
    y = layer(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64))
    assert y.tolist() == [[[[[4.5, 0.5], [8.5, 0.5]]]]]


def test_the_start_is_that_of_torch():
    layer = make(50, 4, 8, 3)
    theirs = [nn.Conv2d(4, 8, 3) for _ in range(50)]
    for name, ours in layer.named_parameters():
        drawn = torch.stack([getattr(one, name) for one in theirs])
        assert ours.shape == drawn.shape
        assert ours.abs().max() <= 1 / 6  # 1 / sqrt(4 * 3 * 3)
        torch.testing.assert_close(ours.std(), drawn.std(), rtol=0.1, atol=0)
    again = make(50, 4, 8, 3)
    assert all(map(torch.equal, layer.parameters(), again.parameters()))


def test_other_channels_are_an_error():
    with pytest.raises(RuntimeError, match="channels"):
        make(2, 3, 1, 3)(torch.randn(1, 2, 4, 4))
