import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skmtl.layers import Dropout, Inputs, Seeds
from skmtl.trunks import ResNet


def build(n_copies=2, n_features=4, **params):
    seeds = Seeds.spawn(np.random.RandomState(0))
    return ResNet(**params).build(Inputs((n_features,)), n_copies, seeds).double()


def randomised(trunk):
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.normal_()
    return trunk


def by_loop(trunk, x, copy, activation=F.relu):
    """Equation (2) of the paper with a layer norm, one copy at a time."""
    p = {name: parameter[copy] for name, parameter in trunk.named_parameters()}
    n_blocks = sum(name.endswith("inner.weight") for name in p)

    def linear(name, h):
        return F.linear(h, p[f"{name}.weight"].T, p[f"{name}.bias"][0])

    def norm(name, h):
        return F.layer_norm(h, h.shape[-1:], p[f"{name}.scale"][0], p[f"{name}.bias"][0])

    first = "blocks.0.linear" if n_blocks else "blocks.0.block.linear"
    h = linear(first, x)
    for i in range(1, n_blocks + 1):
        name = f"blocks.{i}" + (".block" if i == n_blocks else "")
        inner = activation(linear(f"{name}.inner", norm(f"{name}.norm", h)))
        h = h + linear(f"{name}.outer", inner)
    return activation(norm(f"blocks.{n_blocks}.norm", h))


@pytest.mark.parametrize("n_blocks", [0, 1, 3])
@pytest.mark.parametrize(("name", "activation"), [("relu", F.relu), ("silu", F.silu)])
def test_against_equation_2(n_blocks, name, activation):
    trunk = randomised(build(3, n_blocks=n_blocks, width=6, activation=name))
    assert len(trunk.blocks) == n_blocks + 1
    x = torch.randn(7, 4, dtype=torch.float64)
    h = trunk(x)
    assert h.shape == (3, 7, trunk.out_features)
    for copy in range(3):
        expected = by_loop(trunk, x, copy, activation)
        torch.testing.assert_close(h[copy], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("factor", "width"), [(1.5, 9), (2, 12), (np.int64(2), 12), (np.float32(1.5), 9)]
)
def test_hidden_factor(factor, width):
    trunk = build(width=6, hidden_factor=factor)
    assert tuple(trunk.blocks[1].inner.weight.shape) == (2, 6, width)


def test_blocks_that_add_nothing_leave_the_first_layer():
    deep, flat = build(n_blocks=2, width=6), build(n_blocks=0, width=6)
    with torch.no_grad():
        for name, parameter in deep.named_parameters():
            if ".outer." in name:
                parameter.zero_()
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(deep(x), flat(x), rtol=0, atol=0)


def test_dropout_acts_inside_the_blocks_in_training_only():
    trunk = build(n_blocks=2, width=30, dropout=0.3, residual_dropout=0.2)
    layers = [layer for layer in trunk.modules() if isinstance(layer, Dropout)]
    assert [layer.p for layer in layers] == [0.3, 0.2] * 2
    assert len({layer.seed for layer in layers}) == 4
    x = torch.randn(9, 4, dtype=torch.float64)
    assert not torch.equal(trunk(x), trunk(x))
    trunk.eval()
    assert torch.equal(trunk(x), build(n_blocks=2, width=30)(x))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_blocks": -1}, r"`n_blocks` must be a whole number of at least 0\. Found .* = -1"),
        ({"width": 0}, r"`width` must be a whole number of at least 1"),
        ({"width": 4, "hidden_factor": 0.2}, r"`hidden_factor` must .* with `width = 4`\. Found"),
        ({"hidden_factor": "2"}, r"Found `hidden_factor = '2'`"),
        ({"residual_dropout": 1.0}, r"`residual_dropout` must be a number in \[0, 1\)"),
        ({"activation": "rellu"}, r"Did you mean 'relu'\?"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        build(**params)
