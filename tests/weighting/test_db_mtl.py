import pytest
import torch

from skmtl.weighting import DBMTL
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made


def built(n_members=1, n_tasks=3, **params):
    layout = numbers(*"abc"[:n_tasks])
    return DBMTL(**{"eps": 1e-8, **params}).build(layout, n_members, new_seeds()).double()


def test_by_hand():
    """By logarithms (3, 0) and (0, 4): both get length 4, times the mean loss 1.5."""
    one = batch([1.0, 2.0], [[3.0, 0.0], [0.0, 8.0]])
    weights, direction = direct(built(n_tasks=2), one)
    torch.testing.assert_close(direction, torch.tensor([[6.0, 6.0]], dtype=torch.float64))
    torch.testing.assert_close(weights, torch.tensor([[2.0, 0.75]], dtype=torch.float64))


def test_one_task_without_averages_is_followed():
    module = built(n_tasks=1, beta=0.0)
    for losses, _, gradients in made(n_tasks=1, missing=0.0):
        weights, direction = direct(module, (losses, torch.tensor([True]), gradients))
        torch.testing.assert_close(direction, gradients[:, 0], rtol=1e-6, atol=0)
        torch.testing.assert_close(weights, torch.ones_like(weights), rtol=1e-6, atol=0)


def test_equal_losses_and_orthogonal_gradients_get_weights_of_one():
    one = batch([0.1, 0.1, 0.1], torch.eye(3).tolist())
    weights, direction = direct(built(), one)
    torch.testing.assert_close(weights, torch.ones_like(weights), rtol=1e-6, atol=0)
    torch.testing.assert_close(direction, torch.ones_like(direction), rtol=1e-6, atol=0)


def loop(batches, beta, sigma):
    """The paper's algorithm task by task; an average of ones runs beside each."""
    averages, ones, counts, found = {}, {}, {}, []
    for losses, present, gradients in batches:
        tasks = [t for t in range(len(present)) if present[t]]
        for t in tasks:
            counts[t] = counts.get(t, 0) + 1
            decay = beta / counts[t] ** sigma
            gradient = gradients[t] / (losses[t] + 1e-8)
            averages[t] = gradient + decay * (averages.get(t, 0 * gradient) - gradient)
            ones[t] = 1 + decay * (ones.get(t, 0.0) - 1)
        direction = 0 * gradients[0]
        if tasks:
            longest = max((averages[t] / ones[t]).norm() for t in tasks)
            mean = sum(losses[t] for t in tasks) / len(tasks)
            for t in tasks:
                direction = direction + mean * longest / averages[t].norm() * averages[t]
        found.append(direction)
    return torch.stack(found)


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize(("beta", "sigma"), [(0.9, 0.0), (0.7, 0.5), (0.0, 0.0)])
def test_it_is_the_papers_loop(missing, beta, sigma):
    batches = made(n=30, missing=missing, n_members=2)
    module = built(n_members=2, beta=beta, sigma=sigma)
    found = torch.stack([direct(module, one)[1] for one in batches])
    for member in range(2):
        own = [(losses[member], present, g[member]) for losses, present, g in batches]
        torch.testing.assert_close(found[:, member], loop(own, beta, sigma))


def test_what_is_added_to_the_losses_by_hand():
    """By logarithms (2, 0) and (0, 4): a loss of 0 counts as one of 1."""
    one = batch([0.0, 1.0], [[2.0, 0.0], [0.0, 8.0]])
    weights, direction = direct(built(n_tasks=2, eps=1.0), one)
    torch.testing.assert_close(direction, torch.tensor([[2.0, 2.0]], dtype=torch.float64))
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0.25]], dtype=torch.float64))


def test_it_reads_gradients_by_parameters():
    assert built().wrt == "parameters"


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"beta": 1.0}, r"`beta` must be a number in \[0, 1\)\. Found `beta = 1.0`"),
        ({"sigma": -0.5}, r"`sigma` must be a finite number of at least 0"),
        ({"eps": 0.0}, r"`eps` must be a finite number above 0\. Found `eps = 0\.0`"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)
