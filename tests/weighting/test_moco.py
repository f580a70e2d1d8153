import math

import pytest
import torch

from skmtl.weighting import MGDA, MoCo
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made


def built(n_members=1, n_tasks=3, **params):
    layout = numbers(*"abc"[:n_tasks])
    return MoCo(**params).build(layout, n_members, new_seeds()).double()


def test_by_hand():
    """``Y = diag(1, 2)``: from 1/2 each, ``l = softmax(1/2 - 1/2, 1/2 - 2)``."""
    weights, direction = direct(
        built(n_tasks=2, gamma=1.0), batch([1.0, 2.0], [[3.0, 0.0], [0.0, 5.0]])
    )
    first = 1 / (1 + math.exp(-1.5))
    expected = torch.tensor([[2 * first, 2 * (1 - first)]], dtype=torch.float64)
    torch.testing.assert_close(weights, expected)
    lengths = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    torch.testing.assert_close(direction, (3 + 5) / (1 + 2) * expected * lengths)


def test_one_task_without_averages_is_followed():
    module = built(n_tasks=1, beta=1.0)
    one = made(n=1, n_tasks=1)[0]
    torch.testing.assert_close(direct(module, one)[1], one[2][:, 0], rtol=1e-6, atol=0)


def test_equal_losses_and_orthogonal_gradients_get_weights_of_one():
    weights, direction = direct(built(), batch([0.1, 0.1, 0.1], torch.eye(3).tolist()))
    torch.testing.assert_close(weights, torch.ones_like(weights))
    torch.testing.assert_close(direction, torch.ones_like(direction), rtol=1e-6, atol=0)


def test_weights_favour_the_task_that_the_min_norm_point_does():
    gradients = [[4.0, 1.0], [-1.0, 0.2], [2.0, 2.0]]
    lengths = [math.hypot(*row) for row in gradients]
    module, layout = built(gamma=1.0), numbers(*"abc")
    for _ in range(20):
        weights, _ = direct(module, batch(lengths, gradients))
    exact, _ = direct(MGDA().build(layout, 1, new_seeds()).double(), batch(lengths, gradients))
    assert weights.argmax() == exact.argmax() == 1


def loop(batches, beta, gamma, rho):
    """The update rule task by task; an average of ones runs beside each average."""
    averages, ones, counts = {}, {}, {}
    n_tasks = len(batches[0][1])
    shares, found = dict.fromkeys(range(n_tasks), 1.0), []
    for losses, present, gradients in batches:
        tasks = [t for t in range(n_tasks) if present[t]]
        if not tasks:
            found.append(0 * gradients[0])
            continue
        for t in tasks:
            counts[t] = counts.get(t, 0) + 1
            rate = beta / math.sqrt(counts[t])
            target = gradients[t] / gradients[t].norm() * losses[t]
            old = averages.get(t, 0 * target)
            averages[t] = old - rate * (old - target)
            ones[t] = ones.get(t, 0.0) - rate * (ones.get(t, 0.0) - 1)
        y = torch.stack([averages[t] / ones[t] for t in tasks])
        share = torch.tensor([shares[t] for t in tasks], dtype=torch.float64)
        share = share / share.sum()
        rates = torch.tensor([gamma / math.sqrt(counts[t]) for t in tasks], dtype=torch.float64)
        eye = torch.eye(len(tasks), dtype=torch.float64)
        share = torch.softmax(share - rates * ((y @ y.T + rho * eye) @ share), 0)
        for t, value in zip(tasks, share, strict=True):
            shares[t] = len(tasks) * value.item()
        length = sum(gradients[t].norm() for t in tasks) / (losses.sum() + 1e-8)
        found.append(length * len(tasks) * share @ y)
    return torch.stack(found)


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize(
    ("beta", "gamma", "rho"), [(0.5, 0.1, 0.0), (1.0, 3.0, 0.5), (0.3, 0.0, 0)]
)
def test_it_is_the_papers_loop(missing, beta, gamma, rho):
    batches = made(n=30, missing=missing, n_members=2)
    module = built(n_members=2, beta=beta, gamma=gamma, rho=rho)
    found = torch.stack([direct(module, one)[1] for one in batches])
    for member in range(2):
        own = [(losses[member], present, g[member]) for losses, present, g in batches]
        torch.testing.assert_close(found[:, member], loop(own, beta, gamma, rho))


def test_it_reads_gradients_by_parameters():
    assert built().wrt == "parameters"


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"beta": 0.0}, r"`beta` must be a finite number above 0 and at most 1"),
        ({"gamma": -1.0}, r"`gamma` must be a finite number of at least 0"),
        ({"rho": float("nan")}, r"`rho` must be a finite number of at least 0"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)
