import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import Head, RegressionHead

M, T, D, N = 3, 2, 4, 11


def make(last_axis=N, n_outputs=D):
    z = torch.randn(M, T, n_outputs, N, dtype=torch.float64)
    y = torch.randn(T, n_outputs, N, dtype=torch.float64)
    w = torch.rand(T, n_outputs, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, 0, ::4] = 0.0
        w[:, -1, 1::3] = 0.0
    return z, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
@pytest.mark.parametrize("n_outputs", [1, D])
def test_against_torch(last_axis, n_outputs):
    z, y, w = make(last_axis, n_outputs)
    leaf = z.clone().requires_grad_()
    each = F.mse_loss(leaf, y.expand_as(z), reduction="none")
    oracle = (each * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = RegressionHead().loss_and_gradient(z, y, w)
    assert losses.shape == (M, T)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    z = torch.tensor([[1.0, 2.0], [0.0, -1.0]]).view(1, 1, 2, 2)
    y = torch.tensor([[3.0, 2.0], [1.0, 0.0]]).view(1, 2, 2)
    w = torch.tensor([[0.5, 1.0], [0.0, 2.0]]).view(1, 2, 2)
    losses, gradients = RegressionHead().loss_and_gradient(z, y, w)
    assert losses.item() == 0.5 * 4 + 0 + 0 + 2 * 1
    assert gradients.flatten().tolist() == [-2.0, 0.0, 0.0, -4.0]


def test_perfect_outputs_have_no_loss():
    _, y, w = make()
    losses, gradients = RegressionHead().loss_and_gradient(y.expand(M, T, D, N), y, w)
    assert (losses == 0).all()
    assert (gradients == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("z", [-1e4, 1e4])
def test_extreme_outputs(z, dtype):
    outputs = torch.full((1, 1, 1, 1), z, dtype=dtype)
    zero, one = torch.zeros(1, 1, 1, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype)
    losses, gradients = RegressionHead().loss_and_gradient(outputs, zero, one)
    assert losses.item() == 1e8
    assert gradients.item() == 2 * z


def test_the_link_is_the_identity():
    z = torch.randn(M, T, D, N)
    assert torch.equal(RegressionHead().link(z), z)


def test_null_outputs_are_weighted_means_and_minimise_the_loss():
    _, y, w = make()
    z = RegressionHead().null_outputs(y, w)
    expected = (y * w).sum(-1) / w.sum(-1)
    torch.testing.assert_close(z[..., 0], expected, rtol=0, atol=1e-14)

    def loss(constant):
        return RegressionHead().loss_and_gradient(constant.expand(T, D, N).unsqueeze(0), y, w)[0]

    best = loss(z)
    for column in range(D):
        for step in (-0.01, 0.01):
            moved = z.clone()
            moved[:, column] += step
            assert (loss(moved) > best).all()


def test_null_outputs_without_a_label_are_zero():
    _, y, w = make()
    assert (RegressionHead().null_outputs(y, torch.zeros_like(w)) == 0).all()


def test_one_output_per_column_with_weights_of_its_own():
    head = RegressionHead()
    assert head.n_outputs(3, 0) == 3
    assert head.weight_per_output
    values = torch.randn(5, 3)
    assert torch.equal(head.encode(values, 3), values)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'regression'\?"):
        resolve("regresion", Head, "kind")
