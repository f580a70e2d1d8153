import pytest
import torch
from torch.nn import functional as F

from skmtl.sharing import CrossStitch, Independent, Sluice
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


def subspaces(h, n_subspaces):
    """The channels of (sample, channel, ...) in subspaces of one size, zeros behind the last."""
    size = -(-h.shape[1] // n_subspaces)
    found = []
    for s in range(n_subspaces):
        part = h[:, s * size : (s + 1) * size]
        missing = [0, 0] * (h.dim() - 2) + [0, size - part.shape[1]]
        found.append(F.pad(part, missing))
    return found


def by_hand(body, member, n_subspaces, x):
    """Equations (1) to (3): subspaces are mixed after each block, then blocks."""
    h, layers = [x] * N_TASKS, []
    for level, block in enumerate(body.trunk):
        alpha = body.mixing[member, level]
        made = [block_by_hand(block, member * N_TASKS + t, h[t]) for t in range(N_TASKS)]
        parts = [part for each in made for part in subspaces(each, n_subspaces)]
        h = []
        for t in range(N_TASKS):
            mine = [
                sum(alpha[t * n_subspaces + s, j] * part for j, part in enumerate(parts))
                for s in range(n_subspaces)
            ]
            h.append(torch.cat(mine, dim=1)[:, : made[t].shape[1]])
        layers.append(h)
    layers = [level for level in layers if level[0].shape == layers[-1][0].shape]
    beta = body.skips[member]
    return [sum(beta[t, i] * level[t] for i, level in enumerate(layers)) for t in range(N_TASKS)]


@each_trunk
@one_and_two_members
@pytest.mark.parametrize("n_subspaces", [1, 2, 3])
def test_subspaces_of_all_tasks_and_then_blocks_are_mixed(trunk, n_members, n_subspaces):
    body = body_of(Sluice(n_subspaces), trunk, n_members=n_members)
    x = rows_for(trunk)
    h = body(x)
    for m in range(n_members):
        for t, expected in enumerate(by_hand(body, m, n_subspaces, x)):
            assert_tight(h[m, t], expected)


@one_and_two_members
@pytest.mark.parametrize("sizes", [(5, 5, 5), (4, 5, 4), (7, 7)])
def test_a_head_reads_the_blocks_of_the_last_ones_width(n_members, sizes):
    body = body_of(Sluice(3), MLP(sizes, "silu"), n_members=n_members)
    assert body.skips.shape == (n_members, N_TASKS, sizes.count(sizes[-1]))
    x = rows_for()
    for m in range(n_members):
        assert_tight(body(x)[m], torch.stack(by_hand(body, m, 3, x)))


@each_trunk
@one_and_two_members
def test_identity_mixtures_are_independent_nets(trunk, n_members):
    scheme = Sluice(self_weight=1.0, orthogonality=0.0)
    ours = body_of(scheme, trunk, n_members=n_members, moved=False)
    theirs = body_of(Independent(), trunk, n_members=n_members, moved=False)
    x = rows_for(trunk)
    assert_tight(ours(x), theirs(x))
    assert ours.penalty() is None


@each_trunk
def test_one_subspace_and_the_last_block_alone_is_cross_stitch(trunk):
    ours = body_of(Sluice(1, 0.7), trunk, moved=False)
    theirs = body_of(CrossStitch(0.7), trunk, moved=False)
    with torch.no_grad():
        ours.skips.zero_()[..., -1] = 1.0
    x = rows_for(trunk)
    assert_tight(ours(x), theirs(x))


@one_and_two_members
@pytest.mark.parametrize(("width", "n_subspaces"), [(6, 2), (6, 3), (5, 2), (7, 3), (4, 3)])
def test_orthogonality_by_hand(n_members, width, n_subspaces):
    """Equation (4) over the very subspaces that are mixed: 7 channels in 3 are 3, 3 and 1."""
    body = body_of(Sluice(n_subspaces, orthogonality=0.3), MLP((width, 5)), n_members=n_members)
    expected = 0.0
    for block in body.trunk:
        for weight in block.linear.weight.detach().numpy():  # (input, channel)
            size = -(-weight.shape[1] // n_subspaces)
            for i in range(weight.shape[1]):
                for j in range(i):
                    if i // size != j // size:
                        expected += (weight[:, i] @ weight[:, j]) ** 2
    assert body.penalty().item() == pytest.approx(0.3 * expected, rel=1e-12)


def test_orthogonality_leaves_convolutions_free():
    body = body_of(Sluice(orthogonality=1.0), "cnn")
    (dense,) = [block for block in body.trunk if hasattr(block, "linear")]
    expected = sum(
        ((w[:, :3].T @ w[:, 3:]) ** 2).sum().item() for w in dense.linear.weight.detach()
    )
    assert body.penalty().item() == pytest.approx(expected)
    assert body_of(Sluice(), "module").penalty() is None


def test_the_last_block_is_preferred_at_the_start():
    skips = body_of(Sluice(self_weight=0.8), MLP((5, 5, 5)), moved=False).skips
    torch.testing.assert_close(skips[0, 1], torch.tensor([0.1, 0.1, 0.8]).double())


def test_bad_number_of_subspaces():
    with pytest.raises(ValueError, match=r"`n_subspaces` .* at least 1\. Found `n_subspaces = 0`"):
        body_of(Sluice(0))
