import math

import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import (
    BinaryHead,
    FocalBinaryHead,
    FocalMulticlassHead,
    Head,
    MulticlassHead,
)

M, T, K, N = 3, 2, 4, 11


def make(n_classes, last_axis=N):
    z = torch.randn(M, T, n_classes, N, dtype=torch.float64) * 3
    codes = torch.randint(n_classes, (T, N))
    codes[:, :n_classes] = torch.arange(n_classes)
    w = torch.rand(T, 1, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, :, 5::4] = 0.0
    return z, F.one_hot(codes, n_classes).mT.double(), w


def make_binary(last_axis=N):
    z, y, w = make(2, last_axis)
    return z[:, :, :1], y[:, 1:], w


def focal(p, gamma):
    return -((1 - p) ** gamma) * p.log()


@pytest.mark.parametrize("last_axis", [N, 1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_binary_against_autograd(last_axis, gamma):
    z, y, w = make_binary(last_axis)
    leaf = z.clone().requires_grad_()
    p = torch.sigmoid(leaf)
    oracle = (focal(y * p + (1 - y) * (1 - p), gamma) * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = FocalBinaryHead(gamma).loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-10)
    assert all(map(torch.equal, (z, y, w), inputs))


@pytest.mark.parametrize("last_axis", [N, 1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_multiclass_against_autograd(last_axis, gamma):
    z, y, w = make(K, last_axis)
    leaf = z.clone().requires_grad_()
    own = (torch.softmax(leaf, -2) * y).sum(-2, keepdim=True)
    oracle = (focal(own, gamma) * w).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = FocalMulticlassHead(gamma).loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-10)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    z = torch.tensor([0.0, math.log(3.0)], dtype=torch.float64).view(1, 1, 1, 2)
    y, w = torch.tensor([[[1.0, 0.0]]]).double(), torch.tensor([[[1.0, 0.5]]]).double()
    losses, gradients = FocalBinaryHead(2.0).loss_and_gradient(z, y, w)
    # p = 1/2 for the right class, and half of p = 1/4.
    expected = 0.25 * math.log(2) + 0.5 * (9 / 16) * math.log(4)
    assert losses.item() == pytest.approx(expected)
    # (1 - p)^2 (2 p log p + p - 1), the sign turned for the class 0.
    first = 0.25 * (-math.log(2) - 0.5)
    second = -0.5 * (9 / 16) * (-0.5 * math.log(4) - 0.75)
    assert gradients.flatten().tolist() == pytest.approx([first, second])


@pytest.mark.parametrize(
    ("head", "plain", "case"),
    [
        (FocalBinaryHead, BinaryHead, make_binary),
        (FocalMulticlassHead, MulticlassHead, lambda: make(K)),
    ],
)
def test_gamma_0_is_cross_entropy(head, plain, case):
    z, y, w = case()
    for ours, theirs in zip(
        head(0.0).loss_and_gradient(z, y, w), plain().loss_and_gradient(z, y, w), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    ours, theirs = head(0.0).null_outputs(y, w), plain().null_outputs(y, w)
    torch.testing.assert_close(head(0.0).link(ours), plain().link(theirs), rtol=0, atol=1e-6)


def test_two_classes_equal_the_binary_head():
    z, y, w = make(2)
    ours, _ = FocalMulticlassHead(1.5).loss_and_gradient(z, y, w)
    theirs, _ = FocalBinaryHead(1.5).loss_and_gradient(z[:, :, 1:] - z[:, :, :1], y[:, 1:], w)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_solved_cases_weigh_little():
    z = torch.tensor([math.log(9.0)]).view(1, 1, 1, 1)  # p = 0.9
    one = torch.ones(1, 1, 1)
    plain, _ = BinaryHead().loss_and_gradient(z, one, one)
    ours, _ = FocalBinaryHead(2.0).loss_and_gradient(z, one, one)
    assert (ours / plain).item() == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_best_constant_beats_a_grid(gamma, dtype):
    share = 0.03
    y = torch.tensor([[[1.0, 0.0]]], dtype=dtype)
    w = torch.tensor([[[share, 1 - share]]], dtype=dtype)
    head = FocalBinaryHead(gamma)

    def loss(z):
        z = z.to(dtype).view(-1, 1, 1, 1).expand(-1, 1, 1, 2)
        return head.loss_and_gradient(z, y, w)[0]

    best = loss(head.null_outputs(y, w)).item()
    assert best <= loss(torch.linspace(-10, 10, 4001)).min().item() + 1e-7
    assert share < head.link(head.null_outputs(y, w))[0, 1].item() < 0.5  # not calibrated


@pytest.mark.parametrize("head", [FocalBinaryHead, FocalMulticlassHead])
def test_null_outputs_of_one_class_and_of_no_label_are_finite(head):
    y = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]])
    y = torch.cat([1 - y, y], dim=1) if head is FocalMulticlassHead else y
    for w in (torch.ones(2, 1, 2), torch.zeros(2, 1, 2)):
        assert torch.isfinite(head().null_outputs(y, w)).all()


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'focal_binary'\?"):
        resolve("focal_binry", Head, "kind")
