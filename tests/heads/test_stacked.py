import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skmtl.heads import HeadSpec, Layout, StackedHeads
from skmtl.layers import Seeds
from tests.oracle import MIXED, rows_of

N, WIDTH = 6, 5


def build(layout, n_members=2, sizes=(), activation="silu"):
    seeds = Seeds.spawn(np.random.RandomState(0))
    return StackedHeads(layout, WIDTH, n_members, seeds, sizes, activation).double()


def by_loop(heads, layout, h, activation):
    """Each member's and task's head by torch's own layers, shape (member, output row, sample)."""
    z = h.new_empty(heads.n_members, layout.n_rows, h.shape[2])
    for member in range(heads.n_members):
        for task, name in enumerate(layout.names):
            x = h[member, task if h.shape[1] > 1 else 0]
            copy = member * layout.n_tasks + task
            for layer in heads.hidden:
                x = activation(F.linear(x, layer.weight[copy].T, layer.bias[copy, 0]))
            rows = rows_of(layout, name)
            weight, bias = heads.output.weight[member, :, rows], heads.output.bias[member, 0, rows]
            z[member, rows] = F.linear(x, weight.T, bias).T
    return z


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("sizes", [(), (4,), (4, 3)], ids=str)
@pytest.mark.parametrize("own", [False, True], ids=["one_representation", "own_representation"])
@pytest.mark.parametrize("specs", [MIXED, MIXED[:1], MIXED[3:4]], ids=["mixed", "one", "vector"])
def test_against_a_loop_over_tasks(n_members, sizes, own, specs):
    layout = Layout.of(specs)
    heads = build(layout, n_members, sizes)
    n_tasks = layout.n_tasks if own else 1
    h = torch.randn(n_members, n_tasks, N, WIDTH, dtype=torch.float64, requires_grad=True)
    z, expected = heads(h), by_loop(heads, layout, h, F.silu)
    assert z.shape == (n_members, layout.n_rows, N)
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-13)
    seed = torch.randn_like(z)
    leaves = [h, *heads.parameters()]
    ours = torch.autograd.grad(z, leaves, seed)
    theirs = torch.autograd.grad(expected, leaves, seed)
    for ours_, theirs_ in zip(ours, theirs, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_activations_of_hidden_layers(activation):
    layout = Layout.of(MIXED)
    heads = build(layout, 2, (4,), activation)
    h = torch.randn(2, 1, N, WIDTH, dtype=torch.float64)
    expected = by_loop(heads, layout, h, getattr(torch, activation))
    torch.testing.assert_close(heads(h), expected, rtol=0, atol=1e-13)


def test_by_hand():
    layout = Layout.of([HeadSpec("a", "binary", 1, 2), HeadSpec("b", "binary", 1, 2)])
    heads = StackedHeads(layout, 2, 1, Seeds.spawn(np.random.RandomState(0)))
    with torch.no_grad():
        heads.output.weight.copy_(torch.tensor([[[1.0, 10.0], [2.0, 20.0]]]))
        heads.output.bias.copy_(torch.tensor([[[0.5, 0.0]]]))
    assert heads(torch.tensor([[[[3.0, 4.0]]]])).tolist() == [[[11.5], [110.0]]]


def test_equal_representations_equal_one_representation():
    layout = Layout.of(MIXED)
    heads = build(layout, 3, (4,))
    h = torch.randn(3, 1, N, WIDTH, dtype=torch.float64)
    own = h.expand(3, layout.n_tasks, N, WIDTH)
    torch.testing.assert_close(heads(h), heads(own), rtol=0, atol=1e-14)


def test_the_representation_is_not_changed():
    layout = Layout.of(MIXED)
    for sizes in ((), (4,)):
        h = torch.randn(2, 1, N, WIDTH, dtype=torch.float64)
        before = h.clone()
        build(layout, 2, sizes, "relu")(h)
        assert torch.equal(h, before)


@pytest.mark.parametrize(
    ("sizes", "activation", "match"),
    [
        ((0,), "relu", r"`head_layer_sizes` must hold whole numbers of at least 1"),
        ((), "rellu", r"Did you mean 'relu'\?"),
    ],
)
def test_wrong_parameters(sizes, activation, match):
    with pytest.raises(ValueError, match=match):
        build(Layout.of(MIXED), 1, sizes, activation)
