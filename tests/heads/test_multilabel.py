import math

import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import BinaryHead, Head, MultilabelHead

M, T, D, N = 3, 2, 4, 11


def make(last_axis=N):
    z = torch.randn(M, T, D, N, dtype=torch.float64) * 3
    y = torch.randint(2, (T, D, N)).double()
    w = torch.rand(T, D, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, 0, ::4] = 0.0
        w[:, -1, 1::3] = 0.0
    return z, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
def test_against_torch(last_axis):
    z, y, w = make(last_axis)
    leaf = z.clone().requires_grad_()
    oracle = F.binary_cross_entropy_with_logits(
        leaf, y.expand_as(z), weight=w.expand(T, D, N).expand_as(z), reduction="none"
    ).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = MultilabelHead().loss_and_gradient(z, y, w)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    z = torch.tensor([[0.0], [math.log(3.0)]]).view(1, 1, 2, 1)
    y = torch.tensor([[1.0], [0.0]]).view(1, 2, 1)
    losses, gradients = MultilabelHead().loss_and_gradient(z, y, torch.tensor([[[1.0], [0.5]]]))
    assert losses.item() == pytest.approx(math.log(2) + 0.5 * math.log(4))
    assert gradients.flatten().tolist() == pytest.approx([-0.5, 0.375])
    assert MultilabelHead().link(z).flatten().tolist() == pytest.approx([0.5, 0.75])


def test_one_column_equals_the_binary_head():
    z, y, w = make()
    z, y, w = z[:, :, :1], y[:, :1], w[:, :1]
    for ours, theirs in zip(
        MultilabelHead().loss_and_gradient(z, y, w),
        BinaryHead().loss_and_gradient(z, y, w),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert torch.equal(MultilabelHead().link(z), BinaryHead().link(z)[:, :, 1:])
    assert torch.equal(MultilabelHead().null_outputs(y, w), BinaryHead().null_outputs(y, w))


def test_one_output_per_column_with_weights_of_its_own():
    assert MultilabelHead().n_outputs(5, 2) == 5
    assert MultilabelHead().weight_per_output


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'multilabel'\?"):
        resolve("multi_label", Head, "kind")
