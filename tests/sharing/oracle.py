"""What the formulas of sharing schemes by hand are made of: loops over samples and copies."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmtl.layers import Inputs, Seeds
from skmtl.trunks import CNN, MLP, ModuleTrunk, TabM
from tests.oracle import layout_of

#: A trunk of each sort, and the shape of one sample; all activations are SiLUs.
TRUNKS = {
    "mlp": (MLP((6, 5), "silu"), (4,)),
    "cnn": (CNN((3, 4), hidden_layer_sizes=(5,), activation="silu"), (2, 6, 5)),
    "tabm": (TabM((6, 5), k=2, activation="silu", dropout=0.0), (4,)),
    "module": (ModuleTrunk(nn.LazyLinear, {"out_features": 5}), (4,)),
}
each_trunk = pytest.mark.parametrize("trunk", TRUNKS)
one_and_two_members = pytest.mark.parametrize("n_members", [1, 2])
NAMES = ("a", "b", "c")


def body_of(sharing, trunk="mlp", names=NAMES, n_members=1, *, moved=True):
    """Build a body in float64; `moved`: each parameter away from where it starts."""
    trunk, shape = TRUNKS[trunk] if isinstance(trunk, str) else (trunk, (4,))
    body = sharing.build(
        trunk,
        inputs=Inputs(shape),
        layout=layout_of(names),
        n_members=n_members,
        seeds=Seeds.spawn(np.random.RandomState(0)),
    ).double()
    if moved:
        with torch.no_grad():
            for parameter in body.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return body


class PenaltyOf(nn.Module):
    """The penalty of a body as a module, so that it can be called with other weights."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self):
        return self.body.penalty()


def rows_for(trunk="mlp", n=6):
    return torch.randn(n, *TRUNKS[trunk][1], dtype=torch.float64)


def block_by_hand(block, copy, x):
    """One copy of a block on (sample, ...), from torch.nn.functional."""
    if hasattr(block, "copies"):  # a user's module
        module = block.copies[copy]
        return F.linear(x, module.weight, module.bias)
    if hasattr(block, "conv"):
        h = F.silu(F.conv2d(x, block.conv.weight[copy], block.conv.bias[copy], padding=1))
        return F.max_pool2d(h, 2, ceil_mode=True)
    if hasattr(block, "layer"):  # TabM: the submodels one after the other
        layer = block.layer
        parts = [
            part * layer.input_scale[copy, k] @ layer.weight[copy] * layer.output_scale[copy, k]
            + layer.bias[copy, k]
            for k, part in enumerate(x.chunk(layer.k))
        ]
        return F.silu(torch.cat(parts))
    return F.silu(
        F.linear(x.flatten(1), block.linear.weight[copy].T, block.linear.bias[copy].squeeze(0))
    )


def trunk_by_hand(blocks, copy, x):
    """One copy of several blocks."""
    for block in blocks:
        x = block_by_hand(block, copy, x)
    return x


def gate_by_hand(gate, copy, x):
    """Weights of the experts, shape (sample, expert)."""
    if gate.linear is None:
        return x.new_ones(len(x), 1)
    weight, bias = gate.linear.weight[copy], gate.linear.bias[copy]
    return torch.softmax(F.linear(x.flatten(1), weight.T, bias.squeeze(0)), dim=1)


def mix_by_hand(weights, experts):
    """``sum_e weights[:, e] * experts[e]``."""
    total = torch.zeros_like(experts[0])
    for e, expert in enumerate(experts):
        for i in range(len(expert)):
            total[i] += weights[i, e] * expert[i]
    return total


def assert_tight(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
