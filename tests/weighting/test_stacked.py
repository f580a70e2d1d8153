import pytest
import torch

from skmtl.heads import Layout
from skmtl.weighting import Equal, Fixed, Uncertainty, stacked_weightings
from tests.oracle import MIXED, new_seeds

LAYOUT = Layout.of(MIXED)
N_TASKS = LAYOUT.n_tasks


def built(strategy, n_members):
    return strategy.build(LAYOUT, n_members, new_seeds()).double()


def batch(n_members):
    draw = torch.Generator().manual_seed(0)
    losses = torch.rand(n_members, N_TASKS, generator=draw, dtype=torch.float64) + 0.1
    present = torch.rand(n_members, N_TASKS, generator=draw) < 0.8
    return losses * present, present


def test_constant_weights_are_one_constant():
    first = {LAYOUT.names[0]: 3.0}
    module = stacked_weightings([built(Equal(), 2), built(Fixed(first), 1)], [2, 1])
    assert module.is_constant
    expected = torch.ones(3, N_TASKS, dtype=torch.float64)
    expected[2, 0] = 3.0
    torch.testing.assert_close(module.scales(*batch(3)), expected)


def test_one_weighting_stays_itself():
    module = built(Uncertainty(), 2)
    assert stacked_weightings([module], [2]) is module


@pytest.mark.parametrize("everywhere", [False, True], ids=["by member", "for all members"])
def test_each_part_weighs_its_own_members(everywhere):
    parts, sizes = [built(Uncertainty(), 2), built(Equal(), 1)], [2, 1]
    alone = [built(Uncertainty(), 2), built(Equal(), 1)]
    module = stacked_weightings(parts, sizes)
    assert not module.is_constant
    for _ in range(3):
        losses, present = batch(3)
        if everywhere:
            present = torch.ones(N_TASKS, dtype=torch.bool)
        presents = present.expand(3, -1).split(sizes)
        expected = [
            part.scales(own, here)
            for part, own, here in zip(alone, losses.split(sizes), presents, strict=True)
        ]
        torch.testing.assert_close(module.scales(losses, present), torch.cat(expected))
        totals = [
            part(own, here)
            for part, own, here in zip(alone, losses.split(sizes), presents, strict=True)
        ]
        torch.testing.assert_close(module(losses, present), torch.cat(totals))


def test_only_parts_that_ask_look_back():
    class Asks(torch.nn.Module):
        needs_losses_after_step = True
        is_constant = False

        def after_step(self, losses, present):
            self.seen = losses.shape, present.shape

    part = Asks()
    module = stacked_weightings([built(Equal(), 2), part], [2, 1])
    assert module.needs_losses_after_step
    module.after_step(*batch(3))
    assert part.seen == ((1, N_TASKS), (1, N_TASKS))
