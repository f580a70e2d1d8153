import pytest
import torch

from skmtl.sharing import Hard, MMoE
from skmtl.trunks import MLP
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

N_EXPERTS, N_TASKS = 4, 3


@each_trunk
@one_and_two_members
def test_each_task_mixes_all_experts_by_its_gate(trunk, n_members):
    body = body_of(MMoE(N_EXPERTS), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    assert h.shape == (n_members, N_TASKS, 6, 5)
    for m in range(n_members):
        experts = [trunk_by_hand(body.trunk.blocks, m * N_EXPERTS + e, x) for e in range(N_EXPERTS)]
        for t in range(N_TASKS):
            weights = gate_by_hand(body.gate, m * N_TASKS + t, x)
            assert_tight(h[m, t], mix_by_hand(weights, experts))


@one_and_two_members
def test_with_one_gate_all_tasks_read_one_representation(n_members):
    body = body_of(MMoE(N_EXPERTS, shared_gate=True), n_members=n_members)
    x = rows_for()
    h = body(x)
    assert h.shape == (n_members, 1, 6, 5)
    for m in range(n_members):
        experts = [trunk_by_hand(body.trunk.blocks, m * N_EXPERTS + e, x) for e in range(N_EXPERTS)]
        assert_tight(h[m, 0], mix_by_hand(gate_by_hand(body.gate, m, x), experts))


def test_by_hand():
    body = body_of(MMoE(2), MLP((1,), "identity"), ["a"])
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.zero_()
        body.trunk.blocks[0].linear.bias.copy_(torch.tensor([[[10.0]], [[20.0]]]))
        body.gate.linear.weight[0, :, 0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    x = torch.tensor([[0.0] * 4, [3.0, 1.0, 1.0, 1.0]], dtype=torch.float64).log1p()
    # exp(log(4)) against exp(0): four fifths of the first expert
    assert body(x)[0, 0, :, 0].tolist() == pytest.approx([15.0, 0.8 * 10 + 0.2 * 20])


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("shared_gate", [False, True])
def test_one_expert_is_hard_sharing(trunk, n_members, shared_gate):
    body = body_of(MMoE(1, shared_gate), trunk, n_members=n_members, moved=False)
    hard = body_of(Hard(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert sum(p.numel() for p in body.parameters()) == sum(p.numel() for p in hard.parameters())
    assert_tight(body(x), hard(x).expand_as(body(x)))


def test_without_a_layer_tasks_read_the_features():
    x = rows_for()
    assert torch.equal(body_of(MMoE(), MLP(()))(x), x.expand(1, 1, 6, 4))


def test_no_expert():
    with pytest.raises(ValueError, match=r"`n_experts` .* at least 1\. Found `n_experts = 0`"):
        body_of(MMoE(0))


def test_a_gate_is_shared_or_not():
    with pytest.raises(ValueError, match=r"must be True or False\. Found `shared_gate = 'no'`"):
        body_of(MMoE(shared_gate="no"))
