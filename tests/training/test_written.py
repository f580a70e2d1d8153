"""The written-out gradient against autograd, and when it stands back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.heads import Layout
from skmtl.layers import Inputs, Seeds
from skmtl.penalties import L2
from skmtl.sharing import Hard, Independent, MMoE
from skmtl.training import BatchIterator, NetworkSpec, Objective
from skmtl.training._written import WrittenBackward
from skmtl.trunks import MLP
from skmtl.weighting import Fixed, WeightingModule
from tests.oracle import Table, new_seeds


def built(trunk, n_members=1, sharing=None, head_layer_sizes=(), penalties=(), own_rows=0):
    """Return a network, its objective and one batch, in float64; with rows of so many members."""
    table = Table.made()
    layout = Layout.of(table.specs)
    spec = NetworkSpec(sharing or Hard(), trunk, head_layer_sizes, "relu")
    seeds = Seeds.spawn(np.random.RandomState(0))
    network = spec.build(Inputs((table.x.shape[1],)), layout, seeds, n_members).double()
    weighting = Fixed({layout.names[0]: 3.0}).build(layout, n_members, new_seeds())
    modules = [penalty.build(layout, n_members) for penalty in penalties]
    objective = Objective(layout, weighting, modules).double()
    data = table.pack(layout)
    if own_rows:
        orders = (torch.randperm(len(data), generator=new_seeds().weights) for _ in range(own_rows))
        data = replace(data, members=tuple(order[:-9] for order in orders))
    return network, objective, next(iter(BatchIterator(data, 64)))


@pytest.mark.parametrize("sharing", [Hard(), Independent()], ids=lambda s: s.alias)
@pytest.mark.parametrize("rows", ["common", "own"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("sizes", [(), (7,), (7, 5)])
def test_it_equals_autograd(sizes, n_members, rows, sharing):
    own_rows = n_members if rows == "own" else 0
    network, objective, batch = built(MLP(sizes), n_members, sharing, own_rows=own_rows)
    expected_step = objective.backward(network(batch.x), batch.targets, network)
    expected = [p.grad.clone() for p in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = None
    step = WrittenBackward.of(network, objective)(batch.x, batch.targets)
    torch.testing.assert_close(step[:2], expected_step, rtol=1e-12, atol=1e-12)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {"trunk": MLP((4,), dropout=0.1)},
        {"trunk": MLP((4,), activation="silu")},
        {"trunk": MLP((4,)), "sharing": MMoE(2)},
        {"trunk": MLP((4,)), "sharing": Independent(), "head_layer_sizes": (3,)},
        {"trunk": MLP((4,)), "head_layer_sizes": (3,)},
        {"trunk": MLP((4,)), "penalties": (L2(),)},
    ],
    ids=["dropout", "silu", "experts", "head layers of separate nets", "head layers", "penalty"],
)
def test_other_networks_are_left_to_autograd(params):
    network, objective, _ = built(**params)
    assert WrittenBackward.of(network, objective) is None


def test_hooks_and_frozen_weights_are_left_to_autograd():
    network, objective, _ = built(MLP((4,)))
    handle = network.body.register_forward_hook(lambda *_: None)
    assert WrittenBackward.of(network, objective) is None
    handle.remove()
    assert WrittenBackward.of(network, objective) is not None
    network.heads.output.bias.requires_grad_(False)
    assert WrittenBackward.of(network, objective) is None


def test_a_default_fit_takes_it(monkeypatch):
    calls = []
    original = WrittenBackward.__call__
    monkeypatch.setattr(
        WrittenBackward, "__call__", lambda self, x, t: calls.append(1) or original(self, x, t)
    )
    X = np.random.default_rng(0).normal(size=(40, 3))
    est = MultiTaskNetClassifierRegressor(max_epochs=2, early_stopping=False, random_state=0)
    est.fit(X, X[:, 0])
    assert len(calls) == 4
    est.set_params(dropout=0.1).fit(X, X[:, 0])
    assert len(calls) == 4


class Learned(WeightingModule):
    """Kendall's uncertainty weighting in its shortest form: a state that training changes."""

    def __init__(self, n_tasks):
        super().__init__()
        self.log_variance = torch.nn.Parameter(torch.zeros(n_tasks, dtype=torch.float64))

    def forward(self, losses, present):
        s = self.log_variance
        return torch.where(present, (-s).exp() * losses + s, 0.0).sum(1)


@pytest.mark.parametrize("sharing", [Hard(), Independent()], ids=lambda s: s.alias)
def test_a_weighting_that_learns_gets_its_gradient_too(sharing):
    network, objective, batch = built(MLP((7,)), sharing=sharing)
    objective.weighting = Learned(len(objective.layout.names))
    loss = objective(
        objective.task_losses(network(batch.x), batch.targets), batch.targets.present, network
    )
    loss.backward()
    parameters = [*network.parameters(), objective.weighting.log_variance]
    expected = [p.grad.clone() for p in parameters]
    for parameter in parameters:
        parameter.grad = None
    WrittenBackward.of(network, objective)(batch.x, batch.targets)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=1e-12)
