import math

import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import CountHead, Head
from skmtl.heads._count import LARGEST_LOG_RATE

M, T, N = 3, 2, 11


def make(last_axis=N):
    z = torch.randn(M, T, 1, N, dtype=torch.float64)
    y = torch.poisson(torch.full((T, 1, N), 1.5)).double() / 1.5
    w = torch.rand(T, 1, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, :, ::4] = 0.0  # missing labels
    return z, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
def test_against_torch(last_axis):
    z, y, w = make(last_axis)
    leaf = z.clone().requires_grad_()

    def nll(outputs):
        return F.poisson_nll_loss(outputs, y.expand_as(z), log_input=True, reduction="none")

    best = torch.where(y > 0, nll(y.clamp_min(1e-300).log().expand_as(z)), torch.zeros_like(z))
    oracle = ((nll(leaf) - best) * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = CountHead().loss_and_gradient(z, y, w)
    assert losses.shape == (M, T)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-10)
    assert all(map(torch.equal, (z, y, w), inputs))  # nothing is changed in place


def test_by_hand():
    z = torch.tensor([0.0, math.log(2.0)]).view(1, 1, 1, 2)
    y = torch.tensor([0.0, 4.0]).view(1, 1, 2)
    losses, gradients = CountHead().loss_and_gradient(z, y, torch.tensor([[[1.0, 0.5]]]))
    # A rate of 1 for a count of 0, and half of a rate of 2 for a count of 4.
    assert losses.item() == pytest.approx(1.0 + 0.5 * (2 - 4 + 4 * math.log(2)))
    assert gradients.flatten().tolist() == pytest.approx([1.0, -1.0])


def test_a_perfect_rate_has_no_loss_and_no_other_has_less():
    y = torch.tensor([[[0.2, 1.0, 7.0]]], dtype=torch.float64)
    z = y.log().unsqueeze(0)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    losses, gradients = CountHead().loss_and_gradient(z, y, one)
    assert losses.item() == pytest.approx(0, abs=1e-14)
    assert gradients.abs().max() < 1e-14
    for step in (-0.1, 0.1):
        assert CountHead().loss_and_gradient(z + step, y, one)[0] > 0


def test_large_rates_are_cut_off_and_the_loss_goes_on_as_a_line():
    c = LARGEST_LOG_RATE
    z = torch.tensor([c, c + 1.0, c + 3.0], dtype=torch.float64).view(1, 1, 1, 3)
    assert (CountHead().link(z) == math.exp(c)).all()
    losses = torch.stack(
        [
            CountHead().loss_and_gradient(z[..., i : i + 1], torch.zeros(1, 1, 1).double(), torch.ones(1, 1, 1))[0]
            for i in range(3)
        ]
    ).flatten()  # fmt: skip
    assert losses.diff().tolist() == pytest.approx([math.exp(c), 2 * math.exp(c)])


def test_null_outputs_are_the_logarithm_of_the_mean():
    _, y, w = make()
    z = CountHead().null_outputs(y, w)
    expected = ((y * w).sum(-1, keepdim=True) / w.sum(-1, keepdim=True)).log()
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-14)
    assert torch.isfinite(CountHead().null_outputs(torch.zeros_like(y), w)).all()
    assert torch.isfinite(CountHead().null_outputs(y, torch.zeros_like(w))).all()


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'count'\?"):
        resolve("counts", Head, "kind")
