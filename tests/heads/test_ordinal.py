import math

import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import BinaryHead, Head, OrdinalHead

M, T, K, N = 3, 2, 5, 13


def make(n_classes=K, last_axis=N):
    z = 2 * torch.randn(M, T, n_classes - 1, N, dtype=torch.float64)
    codes = torch.randint(n_classes, (T, N))
    codes[:, :n_classes] = torch.arange(n_classes)
    y = torch.stack([OrdinalHead().encode(c[:, None].double(), n_classes - 1).T for c in codes])
    w = torch.rand(T, 1, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, :, 7::3] = 0.0
    return z, codes, y, w


def probabilities(z):
    """From differences of cumulative probabilities, threshold by threshold."""
    anchor = z.shape[-2] // 2
    theta = {anchor: -z[..., anchor, :]}
    for i in range(anchor + 1, z.shape[-2]):
        theta[i] = theta[i - 1] + F.softplus(-z[..., i, :])
    for i in range(anchor - 1, -1, -1):
        theta[i] = theta[i + 1] - F.softplus(-z[..., i, :])
    at_most = torch.sigmoid(torch.stack([theta[i] for i in range(z.shape[-2])], dim=-2))
    ends = torch.zeros_like(at_most[..., :1, :])
    return torch.cat([ends, at_most, ends + 1], dim=-2).diff(dim=-2)


@pytest.mark.parametrize("last_axis", [N, 1])
@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
def test_against_autograd(last_axis, n_classes):
    z, codes, y, w = make(n_classes, last_axis)
    leaf = z.clone().requires_grad_()
    own = probabilities(leaf).gather(-2, codes[:, None].expand(M, T, 1, N))
    oracle = (-own.log() * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = OrdinalHead().loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(OrdinalHead().link(z), probabilities(z), rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    # Thresholds 0 and log 3: cumulative probabilities 1/2 and 3/4.
    lower = -math.log(3.0 - 1.0)  # softplus(-z) = log(1 + exp(-z)) = log 3
    z = torch.tensor([lower, -math.log(3.0)], dtype=torch.float64).view(1, 1, 2, 1)
    head = OrdinalHead()
    assert head.link(z).flatten().tolist() == pytest.approx([0.5, 0.25, 0.25])
    losses, _ = head.loss_and_gradient(
        z, head.encode(torch.tensor([[1.0]]), 2).T.unsqueeze(0).double(), torch.ones(1, 1, 1)
    )
    assert losses.item() == pytest.approx(math.log(4))


def test_two_classes_equal_the_binary_head():
    z, _, y, w = make(2)
    for ours, theirs in zip(
        OrdinalHead().loss_and_gradient(z, y, w),
        BinaryHead().loss_and_gradient(z, y, w),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    torch.testing.assert_close(OrdinalHead().link(z), BinaryHead().link(z), rtol=0, atol=1e-15)
    torch.testing.assert_close(
        OrdinalHead().null_outputs(y, w), BinaryHead().null_outputs(y, w), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_sum_to_one_and_are_not_negative(dtype):
    z = 30 * torch.randn(50, 1, K - 1, 40, dtype=dtype)
    p = OrdinalHead().link(z)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-2), torch.ones(50, 1, 40, dtype=dtype))


def test_a_larger_output_means_a_higher_class():
    z = torch.zeros(1, 1, K - 1, 3)
    z[:, :, (K - 1) // 2, :] = torch.tensor([-3.0, 0.0, 3.0])
    mean = (OrdinalHead().link(z) * torch.arange(K)[:, None]).sum(-2).flatten()
    assert mean.tolist() == sorted(mean.tolist())


def test_null_outputs_are_the_class_shares():
    _, codes, y, w = make()
    null = OrdinalHead().null_outputs(y, w)
    shares = (F.one_hot(codes, K).double().mT * w).sum(-1) / w.sum(-1)
    torch.testing.assert_close(OrdinalHead().link(null)[..., 0], shares, rtol=0, atol=1e-5)
    only = torch.zeros_like(y)  # one class only
    assert torch.isfinite(OrdinalHead().null_outputs(only, w)).all()


def test_outputs_are_thresholds_and_at_least_one():
    head = OrdinalHead()
    assert [head.n_outputs(1, k) for k in (0, 1, 2, 5)] == [1, 1, 1, 4]
    encoded = head.encode(torch.tensor([[0.0], [1.0], [3.0]]), 3)
    assert encoded.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'ordinal'\?"):
        resolve("ordnal", Head, "kind")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.1, 1.0, 40.0])
def test_mean_outputs_predict_the_mean_for_small_and_large_steps(size, dtype):
    z = size * torch.randn(200, 3, 1, 5, 20, dtype=dtype)  # (member, model, task, output, sample)
    mean = OrdinalHead().mean_outputs(z)
    assert torch.isfinite(mean).all()
    torch.testing.assert_close(
        OrdinalHead().link(mean), OrdinalHead().link(z).mean(1), rtol=1e-4, atol=1e-6
    )
