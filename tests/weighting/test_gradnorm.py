import pytest
import torch

from skmtl.weighting import GradNorm
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made

NAMES = ["a", "b", "c"]


def built(n_tasks=3, n_members=1, **params):
    layout = numbers(*NAMES[:n_tasks])
    return GradNorm(**{"update_every": 1, **params}).build(layout, n_members, new_seeds()).double()


def test_by_hand():
    """Lengths 1 and 3, mean 2: the short gradient gains, the long one loses, by lr at first."""
    module = built(2, lr=0.1)
    one = batch([5.0, 0.5], [[1.0, 0.0], [0.0, 3.0]])
    assert direct(module, one)[0].tolist() == [[1, 1]]
    torch.testing.assert_close(
        direct(module, one)[0], torch.tensor([[1.1, 0.9]], dtype=torch.float64)
    )


def test_gradients_become_of_one_length():
    module = built(2, alpha=0.0, lr=0.01)
    one = batch([1.0, 1.0], [[1.0, 0.0], [0.0, 3.0]])
    for _ in range(400):
        weights, _ = direct(module, one)
    expected = torch.tensor([[1.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(weights, expected, rtol=0, atol=0.05)


def test_a_task_that_lags_gets_the_longer_gradient():
    module = built(2, alpha=1.0, lr=0.01)
    gradients = [[1.0, 0.0], [0.0, 1.0]]
    direct(module, batch([1.0, 1.0], gradients))
    for _ in range(400):
        weights, _ = direct(module, batch([0.9, 0.3], gradients))  # r = 1.5 and 0.5
    expected = torch.tensor([[1.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(weights, expected, rtol=0, atol=0.05)


def loop(batches, alpha, lr):
    """Algorithm 1 with autograd, and an Adam of torch for each task."""
    n_tasks = len(batches[0][1])
    weights = [torch.ones((), dtype=torch.float64, requires_grad=True) for _ in range(n_tasks)]
    adams = [torch.optim.Adam([w], lr=lr) for w in weights]
    first, found = {}, []
    for losses, present, gradients in batches:
        tasks = [t for t in range(n_tasks) if present[t]]
        found.append([weights[t].item() if t in tasks else 0.0 for t in range(n_tasks)])
        if not tasks:
            continue
        for t in tasks:
            first.setdefault(t, losses[t])
        rates = torch.stack([losses[t] / first[t] for t in tasks])
        rates = rates / rates.mean()
        lengths = torch.stack([torch.linalg.norm(weights[t] * gradients[t]) for t in tasks])
        target = (lengths.mean() * rates**alpha).detach()
        before = sum(weights[t].item() for t in tasks)
        (lengths - target).abs().sum().backward()
        for t in tasks:
            adams[t].step()
            adams[t].zero_grad()
            weights[t].data.clamp_(min=1e-3)
        after = sum(weights[t].item() for t in tasks)
        for t in tasks:
            weights[t].data *= before / after
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_it_is_the_papers_loop(missing, alpha):
    batches = made(n=40, missing=missing, n_members=2)
    module = built(n_members=2, alpha=alpha, lr=0.3)
    found = torch.stack([direct(module, one)[0] for one in batches])  # (batch, member, task)
    for member in range(2):
        own = [(losses[member], present, g[member]) for losses, present, g in batches]
        torch.testing.assert_close(found[:, member], loop(own, alpha, 0.3), rtol=1e-6, atol=1e-9)


def test_weights_stay_above_zero_and_keep_their_sum():
    module = built(lr=5.0)
    for one in made(n=30):
        direct(module, one)
        assert (module.rule.learned > 0).all()
        torch.testing.assert_close(
            module.rule.learned.sum(), torch.tensor(3.0, dtype=torch.float64)
        )


def test_a_first_loss_of_zero_does_not_count():
    module = built(2, lr=0.1)
    gradients = [[1.0, 0.0], [0.0, 1.0]]
    direct(module, batch([0.0, 1.0], gradients))
    direct(module, batch([2.0, 1.0], gradients))
    assert module.rule.first_losses.tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"alpha": -1.0}, r"`alpha` must be a finite number of at least 0.* Found `alpha = -1.0`"),
        ({"lr": 0.0}, r"`lr` must be a finite number above 0"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)
