import pytest
import torch

from skmtl.sharing import Hard, Independent, Structure
from skmtl.trunks import MLP
from tests.sharing.oracle import (
    assert_tight,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
    trunk_by_hand,
)

N_TASKS = 3
N_BLOCKS = {"mlp": 2, "cnn": 3, "tabm": 2, "module": 1}


@pytest.mark.parametrize(
    ("trunk", "n_shared"),
    [(trunk, n) for trunk, most in N_BLOCKS.items() for n in (None, *range(most + 1))],
)
@one_and_two_members
def test_first_blocks_for_all_and_the_others_for_each_task(trunk, n_members, n_shared):
    n_blocks = N_BLOCKS[trunk]
    body = body_of(Structure(n_shared), trunk, n_members=n_members)
    shared, *own = body.trunk
    assert len(shared.blocks) == (n_blocks - 1 if n_shared is None else n_shared)
    assert sum(len(stack.blocks) for stack in body.trunk) == n_blocks
    x = rows_for(trunk)
    out = body(x)
    for m in range(n_members):
        u = trunk_by_hand(shared.blocks, m, x)
        for t in range(out.shape[1]):
            h = trunk_by_hand(own[0].blocks, m * N_TASKS + t, u) if own else u
            assert_tight(out[m, t], h)


@each_trunk
@one_and_two_members
def test_no_shared_block_is_independent_nets(trunk, n_members):
    ours = body_of(Structure(0), trunk, n_members=n_members, moved=False)
    theirs = body_of(Independent(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), theirs(x))


@each_trunk
@one_and_two_members
def test_all_blocks_shared_is_hard_sharing(trunk, n_members):
    ours = body_of(Structure(N_BLOCKS[trunk]), trunk, n_members=n_members, moved=False)
    theirs = body_of(Hard(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("n_shared", [None, 0])
def test_without_a_layer_tasks_read_the_features(n_shared):
    x = rows_for()
    assert torch.equal(body_of(Structure(n_shared), MLP(()))(x), x.expand(1, 1, 6, 4))


def test_the_gradient_of_one_task_reaches_the_shared_blocks_and_its_own():
    body = body_of(Structure(1))
    body(rows_for())[:, 2].sum().backward()
    shared, own = body.trunk
    assert shared.blocks[0].linear.weight.grad.all()
    reached = own.blocks[0].linear.weight.grad.flatten(1).any(1)
    assert reached.tolist() == [False, False, True]


def test_more_shared_blocks_than_there_are():
    with pytest.raises(ValueError, match=r"blocks of the trunk, 2 here.*`n_shared_blocks = 3`"):
        body_of(Structure(3))
    with pytest.raises(ValueError, match=r"`n_shared_blocks` .* at least 0"):
        body_of(Structure(-1))
