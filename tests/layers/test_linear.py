import math

import pytest
import torch
from torch.nn import functional as F

from skmtl.layers import StackedLinear


def make(n_copies, n_in, n_out, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return StackedLinear(n_copies, n_in, n_out, generator).double()


def by_loop(layer, x):
    """Each copy by torch's own layer; its weight is transposed."""
    inputs = x if x.dim() == 3 else [x] * len(layer.weight)
    return torch.stack(
        [
            F.linear(x_s, w.T, b[0])
            for x_s, w, b in zip(inputs, layer.weight, layer.bias, strict=True)
        ]
    )


@pytest.mark.parametrize("n_copies", [1, 2, 5])
@pytest.mark.parametrize("n_samples", [1, 7])
@pytest.mark.parametrize("own_input", [False, True])
@pytest.mark.parametrize(("n_in", "n_out"), [(4, 3), (1, 1), (3, 6)])
def test_every_copy_is_a_linear_layer(n_copies, n_samples, own_input, n_in, n_out):
    layer = make(n_copies, n_in, n_out)
    shape = (n_copies, n_samples, n_in) if own_input else (n_samples, n_in)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    leaves = [x, *layer.parameters()]
    seed = torch.randn(n_copies, n_samples, n_out, dtype=torch.float64)
    y, expected = layer(x), by_loop(layer, x)
    assert y.shape == (n_copies, n_samples, n_out)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-14)
    ours = torch.autograd.grad(y, leaves, seed)
    theirs = torch.autograd.grad(expected, leaves, seed)
    for ours_, theirs_ in zip(ours, theirs, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=0, atol=1e-12)


def test_by_hand():
    layer = make(2, 2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0], [2.0]], [[-1.0], [0.5]]]))
        layer.bias.copy_(torch.tensor([[[10.0]], [[20.0]]]))
    y = layer(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    assert y.flatten().tolist() == [10 + 3 + 8, 20 - 3 + 2]


def test_an_inplace_activation_may_follow():
    layer = make(3, 4, 5)
    x = torch.randn(6, 4, dtype=torch.float64)
    seed = torch.randn(3, 6, 5, dtype=torch.float64)
    ours = torch.autograd.grad(layer(x).relu_(), list(layer.parameters()), seed)
    theirs = torch.autograd.grad(by_loop(layer, x).relu(), list(layer.parameters()), seed)
    for ours_, theirs_ in zip(ours, theirs, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=0, atol=1e-12)


def test_initial_weights_are_uniform_within_the_bound_of_torch():
    layer = make(4, 25, 400)
    bound = 1 / math.sqrt(25)
    weight = layer.weight.detach()
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.999 * bound
    assert weight.var().item() == pytest.approx(bound**2 / 3, rel=0.02)
    assert abs(weight.mean().item()) < 5 * bound / math.sqrt(3 * weight.numel())
    assert layer.bias.abs().max() <= bound
    # Same law as torch's own layer.
    assert weight.var().item() == pytest.approx(
        torch.nn.Linear(25, 1600).weight.var().item(), rel=0.04
    )


def test_weights_come_from_the_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = make(2, 3, 4), make(2, 3, 4), make(2, 3, 4, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert not torch.equal(first.weight[0], first.weight[1])


def test_wrong_width():
    with pytest.raises(RuntimeError, match="Expected size for first two dimensions"):
        make(2, 3, 4)(torch.ones(5, 2, dtype=torch.float64))
