import math

import pytest
import torch
from torchjd.aggregation import ExcessMTLWeighting

from skmtl.weighting import ExcessMTL
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made


def built(n_members=1, n_tasks=3, **params):
    layout = numbers(*"abc"[:n_tasks])
    return ExcessMTL(**{"update_every": 1, **params}).build(layout, n_members, new_seeds()).double()


def test_by_hand():
    """Excess risks 1 and 1 at first, then ``1 / sqrt(2)`` and ``4 / sqrt(5)``."""
    module = built(n_tasks=2, robust_step_size=1.0)
    first, _ = direct(module, batch([1.0, 1.0], [[1.0], [1.0]]))
    torch.testing.assert_close(first, torch.ones_like(first))
    weights, _ = direct(module, batch([1.0, 1.0], [[1.0], [2.0]]))
    share = 1 / (1 + math.exp(4 / math.sqrt(5) - 1 / math.sqrt(2)))
    torch.testing.assert_close(
        weights, torch.tensor([[2 * share, 2 * (1 - share)]], dtype=torch.float64)
    )


@pytest.mark.parametrize("step_size", [1.0, 0.05])
def test_torchjd_finds_the_same(step_size):
    """Its first step of warm-up is what the risks are compared with; weights then sum to 1."""
    theirs = ExcessMTLWeighting(robust_step_size=step_size, n_warmup_steps=1)
    module = built(robust_step_size=step_size)
    for one in made(n=20, width=8, missing=0.0):
        expected = 3 * theirs(one[2][0])
        # They add 1e-7 to the sums of squares.
        torch.testing.assert_close(direct(module, one)[0][0], expected, rtol=1e-4, atol=1e-8)


def loop(batches, step_size):
    """Task by task, with what weights are there shared by the tasks of the batch."""
    squares, first, weights, found = {}, {}, {}, []
    for _, present, gradients in batches:
        tasks = [t for t in range(len(present)) if present[t]]
        before = sum(weights.get(t, 1.0) for t in tasks)
        grown = {}
        for t in tasks:
            squares[t] = squares.get(t, 0.0) + gradients[t] ** 2
            excess = (gradients[t] ** 2 / squares[t].sqrt()).sum().item()
            first.setdefault(t, excess)
            grown[t] = weights.get(t, 1.0) * math.exp(step_size * excess / first[t])
        for t in tasks:
            weights[t] = grown[t] * before / sum(grown.values())
        found.append([weights[t] if t in tasks else 0.0 for t in range(len(present))])
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_it_is_the_papers_loop(missing):
    batches = made(n=30, missing=missing, n_members=2)
    module = built(n_members=2, robust_step_size=0.3)
    found = torch.stack([direct(module, one)[0] for one in batches])
    for member in range(2):
        own = [(losses[member], present, g[member]) for losses, present, g in batches]
        torch.testing.assert_close(found[:, member], loop(own, 0.3))


def test_a_task_that_has_converged_weighs_little():
    module = built(n_tasks=2, robust_step_size=0.1)
    direct(module, batch([1.0, 1.0], [[1.0, 1.0], [1.0, -1.0]]))
    for _ in range(50):
        weights, _ = direct(module, batch([1.0, 1.0], [[0.01, 0.0], [1.0, -1.0]]))
    assert weights[0, 0] < 0.5
    torch.testing.assert_close(weights.sum(), torch.tensor(2.0, dtype=torch.float64))


def test_weights_below_the_smallest_number_can_rise_again():
    module = built(n_tasks=2, robust_step_size=1.0)
    direct(module, batch([1.0, 1.0], [[1.0], [1.0]]))
    with torch.no_grad():
        module.log_weights[:, 0] = -2000.0
    weights, _ = direct(module, batch([1.0, 1.0], [[1e3], [0.0]]))
    assert weights[0, 0] == 0.0
    for scale in (4, 5, 6, 7, 8, 9) * 5:
        weights, _ = direct(module, batch([1.0, 1.0], [[10.0**scale], [0.0]]))
    assert weights[0, 0] > weights[0, 1]


def test_weights_are_kept_between_updates():
    module = built(update_every=3, robust_step_size=1.0)
    found = [direct(module, one)[0] for one in made(n=6, missing=0.0)]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[2], found[3])
    assert torch.equal(found[3], found[5])


def test_the_combined_loss_has_the_last_weights():
    module = built()
    for one in made(n=5, missing=0.0):
        weights, _ = direct(module, one)
    torch.testing.assert_close(module(one[0], one[1]), (weights * one[0]).sum(1))


def test_it_reads_gradients_by_parameters():
    assert built().wrt == "parameters"


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"robust_step_size": 0.0}, r"`robust_step_size` must be a finite number above 0"),
        ({"update_every": 0}, r"`update_every` must be a whole number of at least 1"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)
