import pytest

from skmtl.sharing import CGC, PLE, Independent
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

N_TASKS = 3
THREE = MLP((6, 5, 4), "silu")


def by_hand(body, member, n_shared, n_own, x):
    """Equations (4) to (6), level by level."""
    g_task, g_shared = [x] * N_TASKS, x
    for level, (experts, gates) in enumerate(zip(body.trunk, body.gates, strict=True)):
        own = [
            [
                trunk_by_hand(experts["own"].blocks, (member * N_TASKS + t) * n_own + e, g_task[t])
                for e in range(n_own)
            ]
            for t in range(N_TASKS)
        ]
        shared = [
            trunk_by_hand(experts["shared"].blocks, member * n_shared + e, g_shared)
            for e in range(n_shared)
        ]
        g_task = [
            mix_by_hand(gate_by_hand(gates.task, member * N_TASKS + t, g), own[t] + shared)
            for t, g in enumerate(g_task)
        ]
        if n_shared and level + 1 < len(body.trunk):
            everything = [expert for mine in own for expert in mine] + shared
            g_shared = mix_by_hand(gate_by_hand(gates.shared, member, g_shared), everything)
    return g_task


@each_trunk
@one_and_two_members
@pytest.mark.parametrize(("n_shared", "n_own"), [(1, 1), (2, 3), (0, 2), (2, 0)])
def test_levels_of_extraction(trunk, n_members, n_shared, n_own):
    body = body_of(PLE(None, n_shared, n_own), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    for m in range(n_members):
        for t, expected in enumerate(by_hand(body, m, n_shared, n_own, x)):
            assert_tight(h[m, t], expected)


@one_and_two_members
def test_levels_of_several_blocks(n_members):
    body = body_of(PLE(2), THREE, n_members=n_members)
    assert [len(level["own"].blocks) for level in body.trunk] == [2, 1]
    x = rows_for()
    for m in range(n_members):
        for t, expected in enumerate(by_hand(body, m, 1, 1, x)):
            assert_tight(body(x)[m, t], expected)


def test_the_last_level_has_no_gate_for_shared_experts():
    body = body_of(PLE(), THREE)
    assert [gates.shared is None for gates in body.gates] == [False, False, True]


@each_trunk
@one_and_two_members
def test_one_level_is_cgc(trunk, n_members):
    ours = body_of(PLE(1, 2, 2), trunk, n_members=n_members, moved=False)
    theirs = body_of(CGC(2, 2), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(ours(x), theirs(x))


def test_own_experts_alone_are_independent_nets():
    ours, theirs = body_of(PLE(None, 0, 1)), body_of(Independent())
    x = rows_for()
    for level, block in zip(ours.trunk, theirs.trunk.blocks, strict=True):
        block.load_state_dict(level["own"].blocks[0].state_dict())
    assert_tight(ours(x), theirs(x))


def test_more_levels_than_blocks():
    with pytest.raises(ValueError, match=r"number of blocks of the trunk, 2 here.*`n_levels = 3`"):
        body_of(PLE(3))


def test_no_level():
    with pytest.raises(ValueError, match=r"`n_levels` .* at least 1\. Found `n_levels = 0`"):
        body_of(PLE(0))


def test_no_expert():
    with pytest.raises(ValueError, match=r"One of `n_shared_experts` and `n_task_experts`"):
        body_of(PLE(None, 0, 0))
