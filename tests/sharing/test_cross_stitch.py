import pytest
import torch

from skmtl.sharing import CrossStitch, Hard, Independent
from skmtl.trunks import MLP
from tests.sharing.oracle import (
    assert_tight,
    block_by_hand,
    body_of,
    each_trunk,
    one_and_two_members,
    rows_for,
)

N_TASKS = 3


@each_trunk
@one_and_two_members
def test_activations_of_all_tasks_are_mixed_after_each_block(trunk, n_members):
    body = body_of(CrossStitch(), trunk, n_members=n_members)
    x = rows_for(trunk)
    out = body(x)
    for m in range(n_members):
        h = [x] * N_TASKS
        for level, block in enumerate(body.trunk):
            alpha = body.stitches[m, level]
            made = [block_by_hand(block, m * N_TASKS + t, h[t]) for t in range(N_TASKS)]
            h = [sum(alpha[t, s] * made[s] for s in range(N_TASKS)) for t in range(N_TASKS)]
        for t in range(N_TASKS):
            assert_tight(out[m, t], h[t])


@each_trunk
@one_and_two_members
def test_identity_stitches_are_independent_nets(trunk, n_members):
    body = body_of(CrossStitch(self_weight=1.0), trunk, n_members=n_members, moved=False)
    alone = body_of(Independent(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(body(x), alone(x))


def test_stitches_start_as_averages_that_prefer_the_own_task():
    stitches = body_of(CrossStitch(0.8), moved=False).stitches
    assert stitches.shape == (1, 2, 3, 3)  # (member, block, task, task)
    expected = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    torch.testing.assert_close(stitches[0, 1], expected.double())


def test_one_task_starts_as_its_trunk():
    ours, trunk = body_of(CrossStitch(), names="a", moved=False), body_of(Hard(), moved=False)
    x = rows_for()
    assert_tight(ours(x), trunk(x))


def test_without_a_layer_tasks_read_the_features():
    x = rows_for()
    assert torch.equal(body_of(CrossStitch(), MLP(()))(x), x.expand(1, 1, 6, 4))


def test_bad_self_weight():
    with pytest.raises(ValueError, match=r"`self_weight` .* at most 1\. Found `self_weight = 1.5`"):
        body_of(CrossStitch(1.5))
