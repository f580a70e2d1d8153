import math

import numpy as np
import pytest
import torch
from torch.func import functional_call

from skmtl.sharing import Hard, Independent, Soft
from skmtl.trunks import MLP
from tests.sharing.oracle import (
    PenaltyOf,
    assert_tight,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

N_TASKS = 3
DISTANCES = ("l2", "trace_norm")


def rows_of_layers(body, n_members):
    """(name, member) -> a row of weights for each task, as ndarray."""
    stacked = {}
    for name, parameter in body.trunk.named_parameters():
        weight = parameter.detach().numpy()
        if ".copies." in name:  # one module a copy
            before, _, rest = name.partition(".copies.")
            copy, _, last = rest.partition(".")
            member, task = divmod(int(copy), N_TASKS)
            layer = stacked.setdefault((f"{before}.{last}", member), [None] * N_TASKS)
            layer[task] = weight.ravel()
        else:
            for member in range(n_members):
                first = member * N_TASKS
                stacked[name, member] = [weight[first + t].ravel() for t in range(N_TASKS)]
    return {key: np.stack(rows) for key, rows in stacked.items()}


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("distance", DISTANCES)
def test_a_trunk_per_member_and_task(trunk, n_members, distance):
    body = body_of(Soft(distance), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    for m in range(n_members):
        for t in range(N_TASKS):
            assert_tight(h[m, t], trunk_by_hand(body.trunk.blocks, m * N_TASKS + t, x))


@each_trunk
@one_and_two_members
def test_the_squared_distance_to_the_mean(trunk, n_members):
    body = body_of(Soft(strength=0.3), trunk, n_members=n_members)
    expected = 0.0
    for rows in rows_of_layers(body, n_members).values():
        for row in rows:
            expected += ((row - rows.mean(axis=0)) ** 2).sum()
    assert body.penalty().item() == pytest.approx(0.3 * expected, rel=1e-12)


def test_the_distance_to_the_mean_of_two_tasks_is_half_of_that_between_them():
    """Equation (2) of Duong et al. has the squared distance of two tasks' weights."""
    body = body_of(Soft(strength=1.0), names="ab")
    between = sum((p[0] - p[1]).square().sum().item() for p in body.parameters())
    assert body.penalty().item() == pytest.approx(between / 2, rel=1e-12)


@each_trunk
@one_and_two_members
def test_the_trace_norm_is_numpys_nuclear_norm(trunk, n_members):
    body = body_of(Soft("trace_norm", 0.3), trunk, n_members=n_members)
    expected = sum(
        np.linalg.norm(rows, "nuc")
        for (name, _), rows in rows_of_layers(body, n_members).items()
        if not name.endswith(("bias", "scale"))
    )
    assert body.penalty().item() == pytest.approx(0.3 * expected, rel=1e-7)


def test_the_trace_norm_of_equal_tasks_has_a_finite_gradient():
    body = body_of(Soft("trace_norm", 1.0))
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.copy_(parameter[:1].expand_as(parameter))
    penalty = body.penalty()
    lengths = [b.linear.weight[0].norm().item() for b in body.trunk.blocks]
    assert penalty.item() == pytest.approx(math.sqrt(N_TASKS) * sum(lengths), rel=1e-6)
    penalty.backward()
    for block in body.trunk.blocks:
        assert torch.isfinite(block.linear.weight.grad).all()


@each_trunk
@pytest.mark.parametrize("distance", DISTANCES)
def test_strength_0_is_independent_nets(trunk, distance):
    ours = body_of(Soft(distance, 0.0), trunk, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), body_of(Independent(), trunk, moved=False)(x))
    assert ours.penalty() is None


@each_trunk
@one_and_two_members
def test_infinite_strength_is_hard_sharing(trunk, n_members):
    ours = body_of(Soft(strength=math.inf), trunk, n_members=n_members, moved=False)
    hard = body_of(Hard(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), hard(x))
    assert ours.penalty() is None


# A linear net of one hidden unit whose heads stay as they are: the objective is quadratic in the trunks' weights,
# and one step of Newton's method finds its minimum.  (Were the heads free, they could undo any
# strength: a trunk a hundred times smaller, with heads a hundred times larger, predicts the same
# and is nearly without penalty.)
RANDOM = np.random.default_rng(0)
X = torch.as_tensor(RANDOM.normal(size=(40, 4)))
Y = X @ torch.as_tensor(RANDOM.normal(size=(4, N_TASKS)))
HEADS = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)


def minimised(scheme):
    """Predictions (task, sample) at the least sum of mean squared errors and penalty."""
    body = body_of(scheme, MLP((1,), "identity"))
    named = dict(body.named_parameters())
    sizes = [p.numel() for p in named.values()]

    def predict(theta):
        parts = zip(named.items(), theta.split(sizes), strict=True)
        parameters = {name: part.view_as(p) for (name, p), part in parts}
        h = functional_call(body, parameters, (X,))[0].expand(N_TASKS, -1, -1)
        return torch.einsum("tnf,tf->tn", h, HEADS), parameters

    def objective(theta):
        z, parameters = predict(theta)
        total = ((z - Y.T) ** 2).mean(1).sum()
        if body.penalty() is not None:
            named_here = {f"body.{name}": part for name, part in parameters.items()}
            total = total + functional_call(PenaltyOf(body), named_here, ())
        return total

    start = torch.zeros(sum(sizes), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(start), start)
    hessian = torch.autograd.functional.hessian(objective, start)
    return predict(start.detach() - torch.linalg.solve(hessian, gradient))[0]


def test_a_growing_strength_goes_from_independent_nets_to_hard_sharing():
    hard, alone = minimised(Hard()), minimised(Independent())
    apart = (alone - hard).abs().max()
    assert apart > 0.5
    torch.testing.assert_close(minimised(Soft(strength=0.0)), alone, rtol=0, atol=1e-10)
    distances = [
        (minimised(Soft(strength=strength)) - hard).abs().max().item()
        for strength in (1.0, 1e2, 1e4, 1e6)
    ]
    assert apart > distances[0] > 10 * distances[1]
    # What is left falls as 1 / strength.
    assert distances[2] == pytest.approx(0.01 * distances[1], rel=0.1)
    assert distances[3] < 1e-4


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"`distance` must be one of .*Found `distance = 'l1'`"):
        body_of(Soft("l1"))
    with pytest.raises(ValueError, match=r"`strength` .* at least 0\. Found `strength = -1`"):
        body_of(Soft(strength=-1))
    with pytest.raises(ValueError, match=r"finite number.*Found `strength = inf`"):
        body_of(Soft("trace_norm", math.inf))
    with pytest.raises(ValueError, match=r"Found `strength = array"):
        body_of(Soft(strength=np.ones(2)))
