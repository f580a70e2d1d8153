import numpy as np
import pytest
import torch

from skmtl.heads import Layout
from skmtl.layers import Inputs, Seeds
from skmtl.penalties import L1, L2
from skmtl.sharing import Hard, Independent
from skmtl.training import BatchIterator, NetworkSpec, Objective
from skmtl.trunks import MLP
from skmtl.weighting import Fixed, WeightingModule
from tests.oracle import MIXED, Table, loop_losses, new_seeds, numbers

SCALES = {"price": 2.0, "colour": 0.5, "paid": 0.0}
PENALTIES = {
    "none": (),
    "l1_all": (L1(0.1),),
    "l2_all": (L2(0.1),),
    "l1_input": (L1(0.1, "input"),),
    "l2_trunk": (L2(0.1, "trunk"),),
    "l1_sharing": (L1(0.1, "sharing"),),
    "l2_heads": (L2(0.1, "heads"),),
    "several": (L1(0.2, "heads"), L2(0.3, "all"), L1(0.1, "input")),
    "zero": (L2(0.0),),
    "numpy": (L2(np.float64(0.1)),),
}


def setting(table, sharing=None, penalties=(), n_members=2, weighting=None):
    """A network, its objective, and the whole table as one batch."""
    layout = Layout.of(table.specs)
    spec = NetworkSpec(sharing or Hard(), MLP((6, 5), "silu"), (3,), "tanh")
    network = spec.build(
        Inputs((5,)), layout, Seeds.spawn(np.random.RandomState(0)), n_members
    ).double()
    weighting = weighting or Fixed(SCALES).build(layout, n_members, new_seeds())
    modules = [penalty.build(layout, n_members) for penalty in penalties]
    objective = Objective(layout, weighting, modules).double()
    data = table.pack(layout)
    return network, objective, next(iter(BatchIterator(data, len(data))))


def gradients_of(network, backward):
    network.zero_grad(set_to_none=True)
    backward()
    return [p.grad.clone() for p in network.parameters()]


def omega_by_hand(network, penalties):
    trunk = [block.linear.weight for block in network.body.trunk.blocks]
    heads = [network.heads.hidden[0].weight, network.heads.output.weight]
    parts = {"input": trunk[:1], "trunk": trunk, "sharing": [], "heads": heads}
    parts["all"] = trunk + heads
    total = 0.0
    for penalty in penalties:
        for weight in parts[penalty.part]:
            norm = torch.linalg.vector_norm(weight, ord=1 if penalty.alias == "l1" else 2)
            total = total + float(penalty.strength) * (
                norm if penalty.alias == "l1" else norm**2 / 2
            )
    return total


@pytest.mark.parametrize("penalties", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("sharing", [Hard(), Independent()], ids=repr)
def test_three_ways_to_the_same_gradient(sharing, penalties):
    table = Table.made().without_labels_of("size")
    network, objective, batch = setting(table, sharing, penalties)
    layout = objective.layout
    scales = torch.tensor([SCALES.get(name, 1.0) for name in layout.names])
    found = {}

    def by_loop():
        losses = loop_losses(table, layout, network(batch.x))
        total = (losses * scales).sum() + omega_by_hand(network, penalties)
        total.backward()
        found["loop"] = losses.detach(), total.detach()

    def by_autograd():
        losses = objective.task_losses(network(batch.x), batch.targets)
        total = objective(losses, batch.targets.present, network)
        total.backward()
        found["autograd"] = losses.detach(), total.detach()

    def without_a_graph_over_the_losses():
        losses, _ = objective.backward(network(batch.x), batch.targets, network)
        assert not losses.requires_grad
        found["backward"] = losses, found["loop"][1]

    expected = gradients_of(network, by_loop)
    for way in (by_autograd, without_a_graph_over_the_losses):
        for ours, theirs in zip(gradients_of(network, way), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    for losses, total in found.values():
        torch.testing.assert_close(losses, found["loop"][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(total, found["loop"][1], rtol=0, atol=1e-11)
    assert found["loop"][0][:, layout.names.index("size")].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("spec", MIXED[:4], ids=lambda spec: spec.name)
@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_one_task(spec, missing, weighted):
    table = Table.made([spec], missing=missing, weighted=weighted)
    network, objective, batch = setting(
        table, weighting=Fixed().build(Layout.of([spec]), 2, new_seeds())
    )
    z = network(batch.x).detach()
    losses, _ = objective.losses_and_gradients(z, batch.targets)
    expected = loop_losses(table, objective.layout, z)
    torch.testing.assert_close(losses, expected, rtol=0, atol=1e-12)


def test_by_hand():
    # One labelled cell of weight 3, and one of weight 1: (3 * 1**2 + 1 * 2**2) / 2 cells.
    table = Table(
        MIXED[:1], np.zeros((3, 5)), np.array([[1.0], [2], [9]]), np.array([[3.0], [1], [0]])
    )
    _, objective, batch = setting(
        table, weighting=Fixed().build(numbers("price"), 1, new_seeds()), n_members=1
    )
    z = torch.zeros(1, 1, 3, dtype=torch.float64)
    losses, gradients = objective.losses_and_gradients(z, batch.targets)
    assert losses.tolist() == [[3.5]]
    assert gradients.tolist() == [[[2 * 3 * -1 / 2, 2 * 1 * -2 / 2, 0.0]]]


def test_jacobian_of_the_losses():
    table = Table.made(n=5)
    _, objective, batch = setting(table)
    z = torch.randn(2, objective.layout.n_rows, 5, dtype=torch.float64, requires_grad=True)
    for task in range(objective.layout.n_tasks):

        def loss(outputs, task=task):
            return objective.task_losses(outputs, batch.targets)[0, task]

        expected = torch.autograd.functional.jacobian(
            lambda outputs, task=task: loop_losses(table, objective.layout, outputs)[0, task], z
        )
        found = torch.autograd.functional.jacobian(loss, z)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_second_pass_over_the_same_losses_is_right():
    _, objective, batch = setting(Table.made(n=5))
    z = torch.randn(2, objective.layout.n_rows, 5, dtype=torch.float64, requires_grad=True)
    losses = objective.task_losses(z, batch.targets).sum()
    first = torch.autograd.grad(2 * losses, z, retain_graph=True)[0].clone()
    second = torch.autograd.grad(2 * losses, z)[0]
    torch.testing.assert_close(second, first, rtol=0, atol=0)


def test_a_weighting_with_parameters_of_its_own_learns_on_both_ways():
    class Learned(WeightingModule):
        def __init__(self):
            super().__init__()
            self.log_scale = torch.nn.Parameter(torch.linspace(-1, 1, 7))

        def forward(self, losses, present):
            return ((losses * self.log_scale.exp() - self.log_scale) * present).sum(1)

    network, objective, batch = setting(Table.made(), weighting=Learned())
    parameters = [*network.parameters(), objective.weighting.log_scale]

    def gradients(backward):
        for parameter in parameters:
            parameter.grad = None
        backward()
        return [p.grad.clone() for p in parameters]

    def by_autograd():
        losses = objective.task_losses(network(batch.x), batch.targets)
        objective(losses, batch.targets.present, network).backward()

    def direct():
        objective.backward(network(batch.x), batch.targets, network)

    for ours, theirs in zip(gradients(direct), gradients(by_autograd), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_gradients_add_up():
    network, objective, batch = setting(Table.made(), penalties=(L2(0.1),))

    def twice():
        for _ in range(2):
            objective.backward(network(batch.x), batch.targets, network)

    def once():
        objective.backward(network(batch.x), batch.targets, network)

    for two, one in zip(gradients_of(network, twice), gradients_of(network, once), strict=True):
        torch.testing.assert_close(two, 2 * one)


def test_a_task_of_weight_zero_does_not_move_the_network():
    table = Table.made()
    zero = dict.fromkeys([s.name for s in MIXED if s.name != "price"], 0.0)
    layout = Layout.of(MIXED)
    network, objective, batch = setting(table, weighting=Fixed(zero).build(layout, 2, new_seeds()))
    ours = gradients_of(
        network, lambda: objective.backward(network(batch.x), batch.targets, network)
    )

    def by_loop():
        losses = loop_losses(table, layout, network(batch.x))
        losses[:, layout.names.index("price")].sum().backward()

    for found, expected in zip(ours, gradients_of(network, by_loop), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_there_is_no_omega_without_a_penalty_or_a_weight():
    network, objective, _ = setting(Table.made())
    assert objective.omega(network) is None
    _, objective, _ = setting(Table.made(), penalties=(L1(1.0, "sharing"),))
    assert objective.omega(network) is None


def test_a_table_of_other_tasks():
    _, objective, _ = setting(Table.made())
    _, _, other = setting(
        Table.made(MIXED[:2]), weighting=Fixed().build(numbers("price", "sold"), 2, new_seeds())
    )
    z = torch.zeros(2, objective.layout.n_rows, len(other.x), dtype=torch.float64)
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        objective.losses_and_gradients(z, other.targets)
