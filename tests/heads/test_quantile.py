import numpy as np
import pytest
import torch

from skmtl._strategy import resolve
from skmtl.heads import AbsoluteHead, Head, QuantileHead

M, T, N = 3, 2, 11
LEVELS = (0.05, 0.3, 0.6, 0.9)


def make(n_levels=4, last_axis=N):
    z = torch.randn(M, T, n_levels, N, dtype=torch.float64)
    y = torch.randn(T, 1, N, dtype=torch.float64).expand(T, n_levels, N)
    w = torch.rand(T, 1, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, :, ::4] = 0.0
    return z, y, w


def pinball(q, y, levels):
    tau = torch.tensor(levels, dtype=q.dtype)[:, None]
    return torch.maximum(tau * (y - q), (tau - 1) * (y - q))


def quantiles(z, anchor):
    """Level by level, with torch's softplus."""
    q = {anchor: z[..., anchor, :]}
    for i in range(anchor + 1, z.shape[-2]):
        q[i] = q[i - 1] + torch.nn.functional.softplus(z[..., i, :])
    for i in range(anchor - 1, -1, -1):
        q[i] = q[i + 1] - torch.nn.functional.softplus(z[..., i, :])
    return torch.stack([q[i] for i in range(z.shape[-2])], dim=-2)


@pytest.mark.parametrize("last_axis", [N, 1])
@pytest.mark.parametrize(("levels", "anchor"), [(LEVELS, 2), ((0.7,), 0), ((0.1, 0.2), 1)])
def test_against_autograd(last_axis, levels, anchor):
    z, y, w = make(len(levels), last_axis)
    leaf = z.clone().requires_grad_()
    oracle = (pinball(quantiles(leaf, anchor), y, levels).mean(-2, keepdim=True) * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = QuantileHead(levels).loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-13)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    # softplus(log(e - 1)) = 1: the quantiles are 1, 2 and 3, the label 2.5.
    step = float(np.log(np.e - 1))
    z = torch.tensor([step, 2.0, step], dtype=torch.float64).view(1, 1, 3, 1)
    head = QuantileHead((0.1, 0.5, 0.9))
    assert head.link(z).flatten().tolist() == pytest.approx([1.0, 2.0, 3.0])
    losses, gradients = head.loss_and_gradient(
        z, torch.full((1, 3, 1), 2.5).double(), torch.ones(1, 1, 1).double()
    )
    assert losses.item() == pytest.approx((0.1 * 1.5 + 0.5 * 0.5 + 0.1 * 0.5) / 3)
    slope = 1 - np.exp(-1.0)  # of softplus where it is 1
    expected = [0.1 * slope / 3, (-0.1 - 0.5 + 0.1) / 3, 0.1 * slope / 3]
    assert gradients.flatten().tolist() == pytest.approx(expected)


def test_the_median_alone_is_half_the_absolute_error():
    z, y, w = make(1)
    for ours, theirs in zip(
        QuantileHead((0.5,)).loss_and_gradient(z, y, w),
        AbsoluteHead().loss_and_gradient(z, y, w),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs / 2, rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", [1.0, 100.0])
def test_quantiles_never_cross(size):
    z = size * torch.randn(100, 1, len(LEVELS), 50)
    assert (QuantileHead(LEVELS).link(z).diff(dim=-2) >= 0).all()


def test_null_outputs_are_weighted_quantiles():
    y = torch.tensor([4.0, 1.0, 3.0, 2.0, 99.0], dtype=torch.float64).expand(1, 3, 5)
    w = torch.tensor([[[1.0, 1.0, 1.0, 1.0, 0.0]]], dtype=torch.float64)
    head = QuantileHead((0.2, 0.5, 0.9))
    torch.testing.assert_close(
        head.link(head.null_outputs(y, w)).flatten(), torch.tensor([1.0, 2.0, 4.0]).double()
    )
    alike = head.link(head.null_outputs(torch.full_like(y, 2.0), w))
    torch.testing.assert_close(alike, torch.full_like(alike, 2.0), rtol=0, atol=1e-6)
    assert torch.isfinite(head.null_outputs(y, torch.zeros_like(w))).all()


def test_an_output_and_a_target_per_level():
    head = QuantileHead(LEVELS)
    assert head.n_outputs(1, 0) == 4
    assert head.encode(torch.tensor([[2.0], [3.0]]), 4).tolist() == [[2.0] * 4, [3.0] * 4]


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'quantile'\?"):
        resolve("quantiles", Head, "kind")
