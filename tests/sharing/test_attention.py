import pytest
import torch
from torch.nn import functional as F

from skmtl.sharing import Attention, Hard
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


def mask_by_hand(mask, copy, features):
    """``sigmoid(g(relu(f(features))))`` of one vector of channels."""
    first, _, second = mask
    hidden = torch.relu(F.linear(features, first.weight[copy].T, first.bias[copy, 0]))
    return torch.sigmoid(F.linear(hidden, second.weight[copy].T, second.bias[copy, 0]))


def resized_by_hand(h, like):
    """Average (sample, channel, ...) over what one position of `like` stands for."""
    if like.dim() == 2:
        return h if h.dim() == 2 else h.mean((2, 3))
    return F.adaptive_avg_pool2d(h, like.shape[2:])


def by_hand(body, member, task, x):
    """Equations (1) and (2), position by position."""
    u, attended, copy = x, None, member * N_TASKS + task
    for block, mask in zip(body.trunk, body.masks, strict=True):
        u = block_by_hand(block, member, u)
        read = u if attended is None else torch.cat([u, resized_by_hand(attended, u)], dim=1)
        a = torch.empty_like(u)
        if u.dim() == 2:
            for i in range(len(u)):
                a[i] = mask_by_hand(mask, copy, read[i])
        else:
            for i in range(len(u)):
                for row in range(u.shape[2]):
                    for column in range(u.shape[3]):
                        a[i, :, row, column] = mask_by_hand(mask, copy, read[i, :, row, column])
        attended = a * u
    return attended


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("reduction", [1, 4])
def test_masks_over_the_features_of_each_block(trunk, n_members, reduction):
    body = body_of(Attention(reduction), trunk, n_members=n_members)
    x = rows_for(trunk, 4)
    h = body(x)
    for m in range(n_members):
        for t in range(N_TASKS):
            assert_tight(h[m, t], by_hand(body, m, t, x))


@each_trunk
@one_and_two_members
def test_masks_of_one_are_hard_sharing(trunk, n_members):
    body = body_of(Attention(), trunk, n_members=n_members, moved=False)
    hard = body_of(Hard(), trunk, n_members=n_members, moved=False)
    hard.load_state_dict({f"trunk.blocks.{k}": v for k, v in body.trunk.state_dict().items()})
    with torch.no_grad():
        for mask in body.masks:
            mask[2].bias.fill_(1e3)
    x = rows_for(trunk)
    assert_tight(body(x), hard(x).expand_as(body(x)))


def test_by_hand():
    body = body_of(Attention(), MLP((1,), "identity"), ["a"])
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.zero_()
        body.trunk[0].linear.weight.fill_(2.0)
    # A mask of 1/2 over twice the sum of the features.
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    assert body(x).tolist() == [[[[10.0]]]]


@pytest.mark.parametrize(("reduction", "width"), [(1, 6), (4, 2), (100, 1)])
def test_the_hidden_layer_of_the_masks(reduction, width):
    mask = body_of(Attention(reduction), MLP((6,))).masks[0]
    assert mask[0].weight.shape[2] == width


def test_a_task_reads_no_mask_of_another():
    body = body_of(Attention())
    body(rows_for())[:, 1].sum().backward()
    for mask in body.masks:
        assert mask[2].bias.grad.flatten(1).any(1).tolist() == [False, True, False]


def test_bad_reduction():
    with pytest.raises(ValueError, match=r"`reduction` .* at least 1\. Found `reduction = 0`"):
        body_of(Attention(0))
