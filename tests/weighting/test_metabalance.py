import pytest
import torch

from skmtl.weighting import MetaBalance
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made

GRADIENTS = [[2.0, 0.0], [0.0, 4.0], [0.5, 0.0]]


def built(main="a", n_members=1, **params):
    layout = numbers("a", "b", "c")
    return (
        MetaBalance(main, **{"update_every": 1, **params})
        .build(layout, n_members, new_seeds())
        .double()
    )


def test_by_hand():
    """``0.7 * 2 / 4 + 0.3`` and ``0.7 * 2 / 0.5 + 0.3``."""
    weights, _ = direct(built(), batch([1.0, 1.0, 1.0], GRADIENTS))
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0.65, 3.1]], dtype=torch.float64))


def test_without_relaxing_all_gradients_are_as_long_as_the_main_ones():
    one = made(n=1)[0]
    weights, _ = direct(built("b", relax=1.0, beta=0.0), one)
    gradients = one[2]
    lengths = (weights.unsqueeze(2) * gradients).norm(dim=2)
    torch.testing.assert_close(lengths, gradients[:, 1:2].norm(dim=2).expand(1, 3))


def test_relaxed_fully_weights_are_equal():
    module = built(relax=0.0)
    for losses, present, gradients in made():
        weights, _ = direct(module, (losses, present, gradients))
        torch.testing.assert_close(weights[0], present.double())


def test_until_the_main_task_was_seen_weights_are_one():
    module = built()
    one = batch([1.0, 1.0, 1.0], GRADIENTS, absent=[0])
    assert direct(module, one)[0].tolist() == [[0, 1, 1]]
    direct(module, batch([1.0, 1.0, 1.0], GRADIENTS))
    torch.testing.assert_close(
        direct(module, one)[0], torch.tensor([[0.0, 0.65, 3.1]], dtype=torch.float64)
    )


def loop(batches, main, relax, beta):
    """The published loop over losses, with a sum of weights for labels that are missing."""
    sums, masses, found = {}, {}, []
    for _, present, gradients in batches:
        tasks = [t for t in range(len(present)) if present[t]]
        for t in tasks:
            sums[t] = beta * sums.get(t, 0.0) + (1 - beta) * gradients[t].norm().item()
            masses[t] = beta * masses.get(t, 0.0) + (1 - beta)
        norm = {t: sums[t] / masses[t] for t in sums}
        weights = [0.0] * len(present)
        for t in tasks:
            weights[t] = norm[main] / norm[t] * relax + 1 - relax if main in norm else 1.0
        found.append(weights)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_it_is_the_papers_loop(missing):
    batches = made(n=30, missing=missing, n_members=2)[1:]
    module = built("c", n_members=2, relax=0.6, beta=0.8)
    found = torch.stack([direct(module, one)[0] for one in batches])
    for member in range(2):
        own = [(losses[member], present, g[member]) for losses, present, g in batches]
        torch.testing.assert_close(found[:, member], loop(own, 2, 0.6, 0.8))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"main": "bb"},
            r"`main` must be one of the tasks \['a', 'b', 'c'\]\. Found `main = 'bb'`",
        ),
        ({"main": 0}, r"Found `main = 0`"),
        ({"relax": 1.5}, r"`relax` must be a finite number of at least 0 and at most 1"),
        ({"beta": 1.0}, r"`beta` must be a number in \[0, 1\)"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)


def test_a_near_miss_of_the_name():
    with pytest.raises(ValueError, match=r"Did you mean 'price'\?"):
        MetaBalance("prise").build(numbers("price", "sold"), 1, new_seeds())
