import math

import pytest
import torch
from torchjd import scalarization

from skmtl.weighting import DWA
from tests.weighting.batches import made
from tests.weighting.losses import built, doubles, here

ALL = here(1, 1, 1)


def test_by_hand():
    """Ratios 1/2 and 1/4 at the temperature 1 / (4 log 3): the shares are 3/4 and 1/4 of 2."""
    module = built(DWA(temperature=0.25 / math.log(3.0)), n_tasks=2)
    losses, both = doubles([1.0, 1.0]), here(1, 1)
    module.end_epoch(doubles([4.0, 8.0]), both)
    assert module.scales(losses, both).tolist() == [[1, 1]]
    module.end_epoch(doubles([2.0, 2.0]), both)
    torch.testing.assert_close(module.scales(losses, both), doubles([1.5, 0.5]))
    assert module(doubles([2.0, 4.0]), both).item() == pytest.approx(1.5 * 2 + 0.5 * 4)


def test_losses_that_stay_where_they_are_have_equal_weights():
    module = built(DWA(temperature=0.1))
    for _ in range(3):
        module.end_epoch(doubles([0.0, 1.0, 100.0]), ALL)
    torch.testing.assert_close(module.scales(doubles([1.0, 1.0, 1.0]), ALL), doubles([1.0, 1, 1]))


def test_it_is_dwa_of_torchjd():
    module, theirs = built(DWA(temperature=0.7)), scalarization.DWA(temperature=0.7)
    for losses, present, _ in made(8, missing=0.0):
        for factor in (0.5, 1.0, 1.5):  # the batches of an epoch
            leaf = (factor * losses[0]).requires_grad_()
            theirs(leaf).backward()
            weights = module.scales(factor * losses, present)[0]
            torch.testing.assert_close(weights, leaf.grad, rtol=1e-6, atol=0)
        theirs.step()
        module.end_epoch(losses, present)


def test_epochs_without_a_label_of_a_task_do_not_exist_for_it():
    module = built(DWA(temperature=0.5))
    alone = [built(DWA(temperature=0.5), n_tasks=1) for _ in range(3)]
    for losses, present, _ in made(20):
        module.end_epoch(losses, present)
        for task in present.nonzero().flatten().tolist():
            alone[task].end_epoch(losses[:, task : task + 1], here(1))
        ratios = torch.cat([one.ratio for one in alone], dim=1)
        weights = module.scales(losses, present)[:, present]
        expected = present.sum() * (ratios / 0.5)[:, present].softmax(1)
        torch.testing.assert_close(weights, expected)


def test_a_task_of_which_one_epoch_is_known_counts_as_one_that_stands_still():
    module = built(DWA(temperature=1.0))
    for losses in ([4.0, 4.0, 0.0], [2.0, 2.0, 7.0]):
        module.end_epoch(doubles(losses), here(1, 1, losses[2] > 0))
    weights = module.scales(doubles([1.0, 1.0, 1.0]), ALL)
    torch.testing.assert_close(weights, 3 * doubles([0.5, 0.5, 1.0]).softmax(1))


def test_a_loss_that_was_zero():
    module = built(DWA())
    for losses in ([0.0, 1.0, 1.0], [1.0, 1.0, 0.0]):
        module.end_epoch(doubles(losses), ALL)
    assert torch.isfinite(module.scales(doubles([1.0, 1.0, 1.0]), ALL)).all()


def test_a_wrong_temperature():
    match = r"`temperature` must be a finite number above 0\. Found `temperature = 0\.0`"
    with pytest.raises(ValueError, match=match):
        built(DWA(temperature=0.0))
