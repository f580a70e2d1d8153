import torch

from skmtl.heads import Layout
from skmtl.penalties import L2, StackedPenalty, TaskRelations
from tests.oracle import MIXED

LAYOUT = Layout.of(MIXED)


def test_each_net_pays_for_its_own_weights_by_its_own_strength():
    parts = [L2(0.1).build(LAYOUT, 2), L2(10.0).build(LAYOUT, 1)]
    penalty = StackedPenalty(parts, [2, 1])
    weights = [torch.ones(6, 2, 2), torch.full((3, 5), 2.0)]  # two copies a member, and one
    first = 0.1 * (4 * 4 + 2 * 5 * 4) / 2
    second = 10.0 * (2 * 4 + 1 * 5 * 4) / 2
    assert penalty.strength * penalty.of_weights(weights) == first + second


def test_terms_of_losses_are_parted_by_members():
    pairs = {(LAYOUT.names[0], LAYOUT.names[1]): 1.0}
    strategies = [TaskRelations(pairs, "product", s) for s in (0.5, 2.0)]
    parts = [s.build(LAYOUT, 1) for s in strategies]
    penalty = StackedPenalty(parts, [1, 1])
    assert penalty.reads_losses
    losses = torch.rand(2, LAYOUT.n_tasks, dtype=torch.float64)
    present = torch.ones(LAYOUT.n_tasks, dtype=torch.bool)
    expected = sum(
        part.strength * part.of_losses(own, present.unsqueeze(0))
        for part, own in zip(parts, losses.split(1), strict=True)
    )
    torch.testing.assert_close(penalty.of_losses(losses, present), expected)
