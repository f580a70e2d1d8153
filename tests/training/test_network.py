import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmtl.heads import Layout
from skmtl.layers import Inputs, Seeds
from skmtl.sharing import Hard, Independent
from skmtl.training import NetworkSpec
from skmtl.trunks import MLP, ModuleTrunk, Periodic
from tests.oracle import MIXED, rows_of

N_FEATURES = 4


def build(sharing=None, trunk=None, *, heads=(), n_members=1, shape=(N_FEATURES,), specs=MIXED):
    spec = NetworkSpec(sharing or Hard(), trunk or MLP((6, 5)), heads, "relu")
    return spec.build(
        Inputs(shape), Layout.of(specs), Seeds.spawn(np.random.RandomState(0)), n_members
    )


def linear(layer, copy):
    return lambda x: F.linear(x, layer.weight[copy].T, layer.bias[copy, 0])


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("heads", [(), (3,)], ids=["plain_heads", "hidden_heads"])
@pytest.mark.parametrize("sharing", [Hard(), Independent()], ids=repr)
def test_against_a_loop_over_members_and_tasks(sharing, heads, n_members):
    network = build(sharing, heads=heads, n_members=n_members).double()
    layout = network.heads.layout
    trunk = [block.linear for block in network.body.trunk.blocks]
    x = torch.randn(7, N_FEATURES, dtype=torch.float64)
    z = network(x)
    for member in range(n_members):
        for task, name in enumerate(layout.names):
            own = member * layout.n_tasks + task
            h = x
            for layer in trunk:
                h = F.relu(linear(layer, own if sharing.alias == "independent" else member)(h))
            for layer in network.heads.hidden:
                h = F.relu(linear(layer, own)(h))
            expected = linear(network.heads.output, member)(h).T[rows_of(layout, name)]
            found = z[member, rows_of(layout, name)]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_it_is_built_on_the_cpu_in_float32():
    for parameter in build(heads=(3,)).parameters():
        assert parameter.device.type == "cpu"
        assert parameter.dtype == torch.float32


def test_parts():
    network = build(heads=(3,))
    trunk = [block.linear.weight for block in network.body.trunk.blocks]
    heads = [network.heads.hidden[0].weight, network.heads.output.weight]
    for part, expected in {
        "all": trunk + heads,
        "input": trunk[:1],
        "trunk": trunk,
        "sharing": [],
        "heads": heads,
    }.items():
        assert [id(p) for p in network.weights(part)] == [id(p) for p in expected]


def test_unknown_part():
    with pytest.raises(KeyError, match="nowhere"):
        build().weights("nowhere")


def test_the_input_of_every_copy_of_a_users_module_is_its_first_layer():
    network = build(Independent(), ModuleTrunk(_two_layers))
    expected = [copy[0].weight for copy in network.body.trunk.blocks[0].copies]
    assert [id(p) for p in network.weights("input")] == [id(p) for p in expected]


def _two_layers():
    return nn.Sequential(nn.Linear(N_FEATURES, 6), nn.ReLU(), nn.Linear(6, 5))


class _Embedded(nn.Module):
    """A user's module that names a part as our own trunks name theirs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(N_FEATURES, 6)
        self.embedding = nn.Linear(6, 5)

    def forward(self, x):
        return self.embedding(self.first(x))


@pytest.mark.parametrize("sharing", [Hard(), Independent()], ids=repr)
def test_an_embedding_within_a_users_module_is_none_of_the_input(sharing):
    network = build(sharing, ModuleTrunk(_Embedded))
    expected = [copy.first.weight for copy in network.body.trunk.blocks[0].copies]
    assert [id(p) for p in network.weights("input")] == [id(p) for p in expected]


def test_embeddings_of_a_trunk_are_its_input():
    network = build(trunk=MLP((6, 5), num_embeddings=Periodic(3)))
    found = {id(p) for p in network.weights("input")}
    named = {id(p): name for name, p in network.named_parameters()}
    assert found
    assert all(".embedding." in named[p] for p in found)


@pytest.mark.parametrize("sharing", [Hard(), Independent()], ids=repr)
def test_evaluation_runs_in_double_precision(sharing):
    network = build(sharing).eval()
    x = np.random.default_rng(0).normal(size=(11, N_FEATURES)).astype(np.float32)
    z = network.evaluate([x], len(x))
    double = build(sharing).double()(torch.as_tensor(x, dtype=torch.float64))
    assert z.dtype == torch.float64
    assert z.device.type == "cpu"
    torch.testing.assert_close(z, double.detach(), rtol=0, atol=1e-14)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_evaluation_in_chunks_is_the_same():
    network = build().eval()
    x = np.random.default_rng(0).normal(size=(11, N_FEATURES))
    whole = network.evaluate([x], len(x))
    parts = network.evaluate(iter([x[:1], torch.as_tensor(x[1:5]), x[5:]]), len(x))
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-14)


def test_evaluation_leaves_a_users_module_in_its_own_type():
    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(N_FEATURES, 3)

        def forward(self, x):
            assert x.dtype == torch.float32
            return self.layer(x)

    network = build(trunk=ModuleTrunk(Single)).eval()
    x = np.random.default_rng(0).normal(size=(11, N_FEATURES))
    z = network.evaluate([x], len(x))
    assert z.dtype == torch.float64
    expected = network(torch.as_tensor(x, dtype=torch.float32)).detach().double()
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-6)


def test_evaluation_needs_no_graph():
    network = build()
    assert not network.evaluate([np.zeros((2, N_FEATURES))], 2).requires_grad
    network(torch.zeros(2, N_FEATURES)).sum().backward()  # and leaves training possible
    assert all(p.grad is not None for p in network.parameters())


def test_a_table_trunk_refuses_images():
    match = r"takes tables, X of shape .* Found samples of shape \(1, 5, 5\)\. .*ModuleTrunk"
    with pytest.raises(ValueError, match=match):
        build(shape=(1, 5, 5))


def test_images():
    def images():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())

    network = build(Independent(), ModuleTrunk(images), shape=(1, 5, 5), n_members=2)
    layout = network.heads.layout
    assert network(torch.randn(3, 1, 5, 5)).shape == (2, layout.n_rows, 3)


def test_no_feature_at_all():
    network = build(shape=(0,))
    z = network(torch.zeros(3, 0))
    assert torch.isfinite(z).all()
    assert torch.equal(z[..., 0], z[..., 1])
