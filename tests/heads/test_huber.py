import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import Head, HuberHead, RegressionHead

M, T, D, N = 3, 2, 4, 11


def make(last_axis=N, n_outputs=D):
    z = 2 * torch.randn(M, T, n_outputs, N, dtype=torch.float64)
    y = 2 * torch.randn(T, n_outputs, N, dtype=torch.float64)
    w = torch.rand(T, n_outputs, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, 0, ::4] = 0.0
    return z, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
@pytest.mark.parametrize("delta", [0.3, 1.0])
def test_against_torch(last_axis, delta):
    z, y, w = make(last_axis)
    leaf = z.clone().requires_grad_()
    each = 2 * F.huber_loss(leaf, y.expand_as(z), delta=delta, reduction="none")
    oracle = (each * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = HuberHead(delta).loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    z = torch.tensor([0.5, 3.0, -3.0]).view(1, 1, 1, 3)
    losses, gradients = HuberHead(1.0).loss_and_gradient(
        z, torch.zeros(1, 1, 3), torch.tensor([[[1.0, 1.0, 2.0]]])
    )
    assert losses.item() == 0.25 + 5 + 2 * 5
    assert gradients.flatten().tolist() == [1.0, 2.0, -4.0]


def test_a_large_delta_gives_squared_errors():
    z, y, w = make()
    for ours, theirs in zip(
        HuberHead(1e6).loss_and_gradient(z, y, w),
        RegressionHead().loss_and_gradient(z, y, w),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("delta", [0.1, 1.0, 1e6])
def test_null_outputs_minimise_the_loss(delta):
    _, y, w = make()
    head = HuberHead(delta)
    z = head.null_outputs(y, w)
    assert z.shape == (T, D, 1)
    _, gradients = head.loss_and_gradient(z.expand(T, D, N).unsqueeze(0), y, w)
    torch.testing.assert_close(gradients.sum(-1), torch.zeros(1, T, D).double(), rtol=0, atol=1e-9)
    if delta == 1e6:
        torch.testing.assert_close(z, RegressionHead().null_outputs(y, w))


def test_null_outputs_without_a_label_are_zero():
    _, y, w = make()
    assert (HuberHead().null_outputs(y, torch.zeros_like(w)) == 0).all()


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'huber_regression'\?"):
        resolve("huber_regresion", Head, "kind")
