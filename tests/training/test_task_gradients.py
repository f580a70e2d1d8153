import numpy as np
import pytest
import torch
from torch import nn

from skmtl._strategy import strategies
from skmtl.heads import HeadSpec, Layout
from skmtl.layers import Inputs
from skmtl.sharing import MMoE, Sharing, Structure
from skmtl.training import BatchIterator, NetworkSpec, parameter_gradients
from skmtl.training._task_gradients import (
    ComputedGradients,
    LinearHeadGradients,
    body_parameters,
    choose_wrt,
)
from skmtl.trunks import MLP, ModuleTrunk, TabM
from skmtl.weighting import MGDA
from tests.oracle import MIXED, Table, new_seeds, tasks_of


def network_of(sharing, trunk=None, *, n_members=1, heads=(), specs=MIXED):
    """A network in float64, and the whole table as one batch."""
    table = Table.made(specs)
    scheme = sharing.adapt(table.values, table.weights > 0, tasks_of(specs))
    spec = NetworkSpec(scheme, trunk or MLP((6, 5), "silu"), heads, "tanh")
    layout = Layout.of(specs)
    network = spec.build(Inputs((5,)), layout, new_seeds(), n_members).double()
    data = table.pack(layout)
    return network, next(iter(BatchIterator(data, len(data))))


def random_derivatives(z):
    return torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=z.dtype)


@pytest.mark.parametrize("specs", [MIXED, MIXED[:1], MIXED[::4]], ids=["mixed", "one", "numbers"])
@pytest.mark.parametrize("n_submodels", [1, 3])
def test_representation_gradients_without_a_backward_pass(specs, n_submodels):
    """Compared with one autograd pass for each task and member."""
    trunk = MLP((6, 5)) if n_submodels == 1 else TabM((6, 5), k=n_submodels)
    network, batch = network_of(strategies(Sharing)["hard"](), trunk, n_members=2, specs=specs)
    layout = network.heads.layout
    h = network.represent(batch.x).detach().requires_grad_()
    z = network.heads(h)
    by_z = random_derivatives(z)
    found = LinearHeadGradients(
        by_z, network.heads.output.weight.detach(), network.heads.task_of_row, layout.n_tasks,
        n_submodels,
    )  # fmt: skip
    expected = torch.zeros_like(found.jacobian)
    for task in range(layout.n_tasks):
        rows = torch.as_tensor(np.flatnonzero(layout.task_of_row == task))
        total = (z[:, rows] * by_z[:, rows]).sum()
        (grad,) = torch.autograd.grad(total, h, retain_graph=True)
        expected[:, task] = grad.reshape(2, -1)
    torch.testing.assert_close(found.jacobian, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.gramian, expected @ expected.mT, rtol=1e-12, atol=1e-12)


class Odd(nn.Module):
    """A layer whose gradient torch cannot batch."""

    def __init__(self, n_features):
        super().__init__()
        self.linear = nn.Linear(n_features, 4)

    def forward(self, x):
        return Unbatched.apply(self.linear(x))


class Unbatched(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * torch.from_numpy(grad.numpy())  # a batched tensor has no storage


CASES = [
    pytest.param(cls(**params), None, id=f"{alias}-{i}")
    for alias, cls in strategies(Sharing).items()
    for i, params in enumerate(cls.test_params())
]
CASES += [
    pytest.param(
        strategies(Sharing)["hard"](), ModuleTrunk(Odd, {"n_features": 5}), id="unbatched"
    ),
    pytest.param(MMoE(2), TabM((5,), k=2), id="submodels"),
]


@pytest.mark.filterwarnings("ignore:The gradients of the tasks are computed one after the other")
@pytest.mark.parametrize(("sharing", "trunk"), CASES)
def test_parameter_gradients_are_those_of_one_pass_for_each_task(sharing, trunk):
    network, batch = network_of(sharing, trunk)
    layout = network.heads.layout
    parameters = body_parameters(network.body)
    z = network(batch.x, batch.targets)
    by_z = random_derivatives(z)
    found = parameter_gradients(z, by_z, network, parameters)
    assert found.shape == (1, layout.n_tasks, sum(p.numel() for p in parameters))
    for task in range(layout.n_tasks):
        rows = torch.as_tensor(np.flatnonzero(layout.task_of_row == task))
        total = (z[:, rows] * by_z[:, rows]).sum()
        grads = torch.autograd.grad(
            total, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        expected = torch.cat([grad.flatten() for grad in grads])
        torch.testing.assert_close(found[0, task], expected, rtol=1e-10, atol=1e-12)


def test_parameter_gradients_in_chunks_and_by_member(monkeypatch):
    network, batch = network_of(MMoE(2), n_members=3)
    parameters = body_parameters(network.body)
    z = network(batch.x)
    by_z = random_derivatives(z)
    whole = parameter_gradients(z, by_z, network, parameters)
    monkeypatch.setattr("skmtl.training._task_gradients.BATCHED_ENTRIES", 1)
    chunks = parameter_gradients(z, by_z, network, parameters)
    torch.testing.assert_close(chunks, whole, rtol=0, atol=1e-12)
    # Of one member alone: the derivatives of the others are 0.
    alone = torch.zeros_like(by_z)
    alone[1] = by_z[1]
    found = parameter_gradients(z, alone, network, parameters)
    assert not found[[0, 2]].any()
    torch.testing.assert_close(found[1], whole[1], rtol=0, atol=1e-12)


def test_what_cannot_be_batched_is_said_once_and_computed_task_by_task():
    network, batch = network_of(MMoE(2), n_members=2)
    parameters = body_parameters(network.body)
    z = network(batch.x)
    by_z = random_derivatives(z)
    expected = parameter_gradients(z, by_z, network, parameters)
    slopes = 2 * z.detach()
    squares = Unbatched.apply(network(batch.x))
    with pytest.warns(UserWarning, match="one after the other"):
        found = parameter_gradients(squares, by_z / slopes, network, parameters)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    parameter_gradients(squares, by_z, network, parameters)  # a warning would be an error


def test_gradients_are_computed_when_asked_for():
    calls = []

    def compute():
        calls.append(1)
        return torch.tensor([[[1.0, 0.0], [1.0, 2.0]]])

    gradients = ComputedGradients(compute)
    assert not gradients.is_computed
    assert gradients.gramian.tolist() == [[[1, 1], [1, 5]]]
    assert gradients.jacobian[0, 1].tolist() == [1, 2]
    assert gradients.is_computed
    assert calls == [1]


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [("hard", "representation"), ("mmoe", "parameters"), ("chain", "parameters")],
)
def test_the_representation_where_there_is_one(sharing, expected):
    network, _ = network_of(strategies(Sharing)[sharing]())
    module = MGDA().build(network.heads.layout, 1, new_seeds())
    assert choose_wrt(network, module) == expected
    module.wrt = "parameters"
    assert choose_wrt(network, module) == "parameters"


@pytest.mark.parametrize("sharing", ["independent", "soft"])
def test_tasks_that_share_nothing_have_no_gradients_to_compare(sharing):
    network, _ = network_of(strategies(Sharing)[sharing]())
    module = MGDA().build(network.heads.layout, 1, new_seeds())
    scheme = sharing.capitalize()
    with pytest.raises(ValueError, match=f"`loss_weights`.* with {scheme} they share none"):
        choose_wrt(network, module)


def test_nothing_is_shared_without_a_trunk():
    for sharing, trunk in (("hard", MLP(())), ("structure", None)):
        scheme = Structure(0) if sharing == "structure" else strategies(Sharing)[sharing]()
        network, _ = network_of(scheme, trunk)
        module = MGDA().build(network.heads.layout, 1, new_seeds())
        with pytest.raises(ValueError, match="they share none that is trained"):
            choose_wrt(network, module)


def test_a_scheme_without_one_representation_cannot_be_asked_for_it():
    network, _ = network_of(MMoE(2), specs=[HeadSpec("a", "regression", 1, 0)])
    module = MGDA(wrt="representation").build(network.heads.layout, 1, new_seeds())
    with pytest.raises(ValueError, match=r"`wrt='representation'` needs .*Found MMoE\. Use"):
        choose_wrt(network, module)
