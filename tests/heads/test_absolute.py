import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import AbsoluteHead, Head, HuberHead

M, T, D, N = 3, 2, 4, 11


def make(last_axis=N):
    z = torch.randn(M, T, D, N, dtype=torch.float64)
    y = torch.randn(T, D, N, dtype=torch.float64)
    w = torch.rand(T, D, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, 0, ::4] = 0.0
    return z, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
def test_against_torch(last_axis):
    z, y, w = make(last_axis)
    leaf = z.clone().requires_grad_()
    oracle = (F.l1_loss(leaf, y.expand_as(z), reduction="none") * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = AbsoluteHead().loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    z = torch.tensor([3.0, -1.0, 2.0]).view(1, 1, 1, 3)
    y = torch.tensor([1.0, 0.0, 2.0]).view(1, 1, 3)
    losses, gradients = AbsoluteHead().loss_and_gradient(z, y, torch.tensor([[[0.5, 1.0, 1.0]]]))
    assert losses.item() == 0.5 * 2 + 1
    assert gradients.flatten().tolist() == [0.5, -1.0, 0.0]


def test_it_is_the_limit_of_huber_losses_for_small_deltas():
    z, y, w = make()
    delta = 1e-9
    losses, gradients = HuberHead(delta).loss_and_gradient(z, y, w)
    ours = AbsoluteHead().loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses / (2 * delta), ours[0], rtol=0, atol=1e-7)
    torch.testing.assert_close(gradients / (2 * delta), ours[1], rtol=0, atol=1e-7)


def test_null_outputs_are_weighted_medians():
    y = torch.tensor([[[5.0, 1.0, 2.0, 100.0]]])
    null = AbsoluteHead().null_outputs(y, torch.tensor([[[1.0, 1.0, 3.0, 0.0]]]))
    assert null.tolist() == [[[2.0]]]
    assert AbsoluteHead().null_outputs(y, torch.zeros(1, 1, 4)).tolist() == [[[0.0]]]


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'absolute_regression'\?"):
        resolve("absolut_regression", Head, "kind")
