import pytest
import torch

from skmtl.sharing import CGC, Hard, Independent, MMoE
from tests.sharing.oracle import (
    assert_tight,
    body_of,
    each_trunk,
    gate_by_hand,
    mix_by_hand,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

N_TASKS = 3


@each_trunk
@one_and_two_members
@pytest.mark.parametrize(("n_shared", "n_own"), [(1, 1), (2, 3), (0, 2), (2, 0)])
def test_a_gate_per_task_over_own_and_shared_experts(trunk, n_members, n_shared, n_own):
    body = body_of(CGC(n_shared, n_own), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    experts, gate = body.trunk[0], body.gates[0].task
    for m in range(n_members):
        shared = [
            trunk_by_hand(experts["shared"].blocks, m * n_shared + e, x) for e in range(n_shared)
        ]
        for t in range(N_TASKS):
            first = (m * N_TASKS + t) * n_own
            own = [trunk_by_hand(experts["own"].blocks, first + e, x) for e in range(n_own)]
            weights = gate_by_hand(gate, m * N_TASKS + t, x)
            assert weights.shape[1] == n_own + n_shared
            assert_tight(h[m, t], mix_by_hand(weights, own + shared))


@each_trunk
@one_and_two_members
def test_one_own_expert_and_no_shared_one_is_independent_nets(trunk, n_members):
    ours = body_of(CGC(0, 1), trunk, n_members=n_members, moved=False)
    theirs = body_of(Independent(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(ours(x), theirs(x))
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))


@each_trunk
@one_and_two_members
def test_without_own_experts_it_is_mmoe(trunk, n_members):
    ours = body_of(CGC(3, 0), trunk, n_members=n_members, moved=False)
    theirs = body_of(MMoE(3), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(ours(x), theirs(x))


def test_one_shared_expert_alone_is_hard_sharing():
    ours, theirs = body_of(CGC(1, 0), moved=False), body_of(Hard(), moved=False)
    x = rows_for()
    assert_tight(ours(x), theirs(x).expand_as(ours(x)))


def test_an_own_expert_gets_gradients_of_its_task_alone():
    body = body_of(CGC(1, 2))
    body(rows_for())[:, 1].sum().backward()
    weight = body.trunk[0]["own"].blocks[0].linear.weight
    reached = weight.grad.flatten(1).any(1).view(N_TASKS, 2)
    assert reached.tolist() == [[False, False], [True, True], [False, False]]
    assert body.trunk[0]["shared"].blocks[0].linear.weight.grad.any()


def test_a_gate_can_shut_out_the_others():
    body = body_of(CGC(1, 1))
    with torch.no_grad():
        body.gates[0].task.linear.weight.zero_()
        body.gates[0].task.linear.bias.copy_(torch.tensor([[[500.0, 0.0]]] * N_TASKS))
    x = rows_for()
    own = [trunk_by_hand(body.trunk[0]["own"].blocks, t, x) for t in range(N_TASKS)]
    assert_tight(body(x)[0], torch.stack(own))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ((0, 0), r"One of `n_shared_experts` and `n_task_experts` must be at least 1"),
        ((-1, 1), r"`n_shared_experts` .* at least 0\. Found `n_shared_experts = -1`"),
        ((1, 1.5), r"`n_task_experts = 1.5`"),
    ],
)
def test_bad_numbers_of_experts(params, match):
    with pytest.raises(ValueError, match=match):
        body_of(CGC(*params))
