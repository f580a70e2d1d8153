import pytest
import torch

from skmtl.sharing import AdaTT
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


def by_hand(body, member, n_tasks, n_own, x):
    """A gate over the experts of all tasks, and the own ones directly, level by level."""
    f = [x] * n_tasks
    for level, (stack, gate) in enumerate(zip(body.trunk, body.gates, strict=True)):
        first = member * n_tasks * n_own
        own = [
            [trunk_by_hand(stack.blocks, first + t * n_own + e, f[t]) for e in range(n_own)]
            for t in range(n_tasks)
        ]
        everything = [expert for mine in own for expert in mine]
        fused = []
        for t in range(n_tasks):
            everyone = mix_by_hand(gate_by_hand(gate, member * n_tasks + t, f[t]), everything)
            native = sum(body.native[member, level, t, e] * own[t][e] for e in range(n_own))
            fused.append(everyone + native)
        f = fused
    return f


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("n_own", [1, 2])
def test_fusion_of_all_experts_and_of_the_own_ones(trunk, n_members, n_own):
    body = body_of(AdaTT(n_task_experts=n_own), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    for m in range(n_members):
        for t, expected in enumerate(by_hand(body, m, 3, n_own, x)):
            assert_tight(h[m, t], expected)


def test_levels_of_several_blocks():
    body = body_of(AdaTT(n_levels=2), MLP((6, 5, 4), "silu"))
    assert [len(stack.blocks) for stack in body.trunk] == [2, 1]
    x = rows_for()
    assert_tight(body(x)[0], torch.stack(by_hand(body, 0, 3, 1, x)))


@each_trunk
def test_one_task_and_one_expert_is_twice_the_trunk_at_each_level(trunk):
    body = body_of(AdaTT(1), trunk, ["a"], moved=False)
    x = rows_for(trunk)
    assert body.gates[0].linear is None
    assert_tight(body(x)[0, 0], 2 * trunk_by_hand(body.trunk[0].blocks, 0, x))


def test_own_experts_start_with_equal_weights():
    native = body_of(AdaTT(n_task_experts=4), moved=False).native
    assert native.shape == (1, 2, 3, 4)  # (member, level, task, expert)
    assert (native == 0.25).all()


def test_each_task_reads_the_experts_of_all():
    body = body_of(AdaTT())
    body(rows_for())[:, 0].sum().backward()
    assert body.trunk[0].blocks[0].linear.weight.grad.flatten(1).any(1).all()
    assert body.native.grad[0, -1].flatten(1).any(1).tolist() == [True, False, False]


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"number of blocks of the trunk, 2 here.*`n_levels = 5`"):
        body_of(AdaTT(5))
    with pytest.raises(ValueError, match=r"`n_task_experts` .* at least 1"):
        body_of(AdaTT(n_task_experts=0))
