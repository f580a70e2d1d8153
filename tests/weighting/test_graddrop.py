import copy

import pytest
import torch
from torchjd.aggregation import GradDrop as TorchJDGradDrop

from skmtl.weighting import GradDrop
from tests.oracle import new_seeds, numbers
from tests.weighting.batches import batch, direct, made


def built(n_members=1, seed=0, **params):
    layout = numbers("a", "b", "c")
    return GradDrop(**params).build(layout, n_members, new_seeds(seed)).double()


def test_by_hand():
    """Purity ``(1 + (1 - 3) / 4) / 2 = 1/4``: in a quarter of the draws 1 is kept, else -3."""
    n = 40_000
    ones = torch.ones(1, 1, n, dtype=torch.float64)
    losses, present = torch.ones(1, 3, dtype=torch.float64), torch.ones(3, dtype=torch.bool)
    gradients = torch.cat([ones, -3 * ones, 0 * ones], dim=1)
    weights, direction = direct(built(), (losses, present, gradients))
    assert set(direction.unique().tolist()) == {1.0, -3.0}
    kept = (direction > 0).double().mean().item()
    assert kept == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(weights[0], torch.tensor([kept, 1 - kept, 1.0]).double())


def test_gradients_that_agree_are_summed():
    losses, present, gradients = made(n=1)[0]
    signs = gradients[:, :1].sign()
    agreeing = gradients.abs() * signs
    weights, direction = direct(built(), (losses, present, agreeing))
    torch.testing.assert_close(direction, agreeing.sum(1))
    torch.testing.assert_close(weights, torch.ones_like(weights))


def test_a_full_leak_drops_nothing():
    module = built(leak=1.0)
    for one in made():
        torch.testing.assert_close(direct(module, one)[1], one[2].sum(1))


@pytest.mark.parametrize("leak", [0.0, 0.3])
@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_torchjd_finds_the_same_by_the_same_numbers(leak, missing):
    module = built(leak=leak)
    for losses, present, gradients in made(missing=missing, width=30):
        if not present.any():
            continue
        state = module.generator.get_state()
        rows = gradients[0][present]
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(state)
            expected = TorchJDGradDrop(leak=torch.full((len(rows),), leak))(rows)
        direction = direct(module, (losses, present, gradients))[1]
        torch.testing.assert_close(direction[0], expected)


@pytest.mark.parametrize("leak", [0.0, 0.3])
def test_shares_are_those_of_what_is_kept(leak):
    losses, present, gradients = made(n=1, n_members=2, width=30)[0]
    module = built(n_members=2, leak=leak)
    drawn = torch.rand(2, 30, generator=copy.deepcopy(module.generator), dtype=torch.float64)
    weights, direction = direct(module, (losses, present, gradients))
    purity = (1 + gradients.sum(1) / gradients.abs().sum(1)) / 2
    keeps = (gradients > 0) == (purity > drawn).unsqueeze(1)
    kept = torch.where(keeps, gradients, leak * gradients)
    torch.testing.assert_close(direction, kept.sum(1))
    torch.testing.assert_close(weights, (kept.norm(dim=2) / gradients.norm(dim=2)).square())


def test_shares_are_found_in_every_eighth_step():
    module = built()
    batches = made(n=10, width=30, missing=0.0)
    found = [direct(module, one)[0] for one in batches]
    assert all(torch.equal(weights, found[0]) for weights in found[:8])
    assert not torch.equal(found[8], found[0])
    assert torch.equal(found[9], found[8])


def test_a_task_without_a_label_keeps_its_share():
    module = built()
    losses, present, gradients = made(n=1, width=30)[0]
    before = direct(module, (losses, present, gradients))[0]
    for _ in range(7):
        direct(module, (losses, present, gradients))
    present[1] = False
    gradients[:, 1] = 0
    assert direct(module, (losses, present, gradients))[0][0, 1] == 0
    assert torch.equal(module.weights[0, 1], before[0, 1])


def test_a_seed_is_a_choice_of_numbers():
    one = made(n=1, width=50)[0]
    first, again, other = (direct(built(seed=seed), one)[1] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    module = built()
    twin = copy.deepcopy(module)
    direct(module, one)
    assert torch.equal(direct(twin, one)[1], first)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    direct(built(), made(n=1)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_combined_loss_is_the_sum():
    losses, present, _ = batch([1.0, 2.0, 4.0], [[1.0], [1.0], [1.0]], absent=[1])
    assert built()(losses, present).item() == 5.0


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"leak": 1.5}, r"`leak` must be a finite number of at least 0 and at most 1"),
        ({"wrt": "weights"}, r"`wrt` must be one of "),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)
