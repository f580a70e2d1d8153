import math

import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import BinaryHead, Head, MulticlassHead

M, T, K, N = 3, 2, 4, 11


def make(last_axis=N):
    z = torch.randn(M, T, K, N, dtype=torch.float64) * 3
    codes = torch.randint(K, (T, N))
    y = F.one_hot(codes, K).transpose(1, 2).double()
    w = torch.rand(T, 1, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, :, ::4] = 0.0
    return z, codes, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
def test_against_torch(last_axis):
    z, codes, y, w = make(last_axis)
    leaf = z.clone().requires_grad_()
    each = F.cross_entropy(
        leaf.flatten(0, 1), codes.expand(M, T, N).flatten(0, 1), reduction="none"
    )
    oracle = (each.unflatten(0, (M, T)) * w[:, 0]).sum(-1)
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = MulticlassHead().loss_and_gradient(z, y, w)
    assert losses.shape == (M, T)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))


def test_by_hand():
    z = torch.tensor([0.0, math.log(2.0), 0.0]).view(1, 1, 3, 1)
    y = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1)
    losses, gradients = MulticlassHead().loss_and_gradient(z, y, torch.full((1, 1, 1), 2.0))
    # Shares 1/4, 2/4, 1/4, weight 2.
    assert losses.item() == pytest.approx(2 * math.log(4))
    assert gradients.flatten().tolist() == pytest.approx([0.5, 1.0, -1.5])


def test_two_classes_equal_the_binary_head():
    z = torch.randn(M, T, 2, N, dtype=torch.float64)
    codes = torch.randint(2, (T, 1, N)).double()
    w = torch.rand(T, 1, N, dtype=torch.float64)
    ours, _ = MulticlassHead().loss_and_gradient(z, torch.cat([1 - codes, codes], dim=1), w)
    theirs, _ = BinaryHead().loss_and_gradient(z[:, :, 1:] - z[:, :, :1], codes, w)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_one_class_has_no_loss():
    z = torch.randn(M, T, 1, N)
    losses, gradients = MulticlassHead().loss_and_gradient(
        z, torch.ones(T, 1, N), torch.ones(T, 1, N)
    )
    assert (losses == 0).all()
    assert (gradients == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("right", [False, True])
def test_extreme_logits(right, dtype):
    z = torch.tensor([1e4, -1e4, -1e4], dtype=dtype).view(1, 1, 3, 1)
    y = torch.tensor([1.0, 0, 0] if right else [0, 1.0, 0], dtype=dtype).view(1, 3, 1)
    losses, gradients = MulticlassHead().loss_and_gradient(z, y, torch.ones(1, 1, 1, dtype=dtype))
    assert losses.item() == (0.0 if right else 2e4)
    assert gradients.flatten().tolist() == ([0.0, 0, 0] if right else [1.0, -1.0, 0])
    assert MulticlassHead().link(z).flatten().tolist() == [1.0, 0.0, 0.0]


def test_the_link_is_the_softmax_of_torch():
    z = torch.randn(M, T, K, N, dtype=torch.float64)
    expected = torch.softmax(z.movedim(-2, -1), dim=-1).movedim(-1, -2)
    torch.testing.assert_close(MulticlassHead().link(z), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("last_axis", [N, 1])
def test_null_outputs_minimise_the_loss(last_axis):
    _, _, y, w = make(last_axis)
    w = w.expand(T, 1, N)
    y[:, :, 1:4] = torch.eye(K, dtype=y.dtype)[:, :3]  # three classes at least
    z = MulticlassHead().null_outputs(y, w)
    assert z.shape == (T, K, 1)

    def loss(constant):
        return MulticlassHead().loss_and_gradient(constant.expand(T, K, N).unsqueeze(0), y, w)[0]

    best = loss(z)
    for k in range(3):
        for step in (-0.01, 0.01):
            moved = z.clone()
            moved[:, k] += step
            assert (loss(moved) > best).all()


def test_null_outputs_of_absent_classes_are_finite():
    y = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    for w in (torch.ones(1, 1, 2), torch.zeros(1, 1, 2)):
        assert torch.isfinite(MulticlassHead().null_outputs(y, w)).all()


def test_targets_are_one_hot():
    head = MulticlassHead()
    codes = torch.tensor([[2.0], [0.0], [1.0], [2.0]])
    expected = F.one_hot(codes[:, 0].long(), 3).double()
    assert torch.equal(head.encode(codes.double(), 3), expected)


def test_outputs_are_classes_and_at_least_one():
    assert MulticlassHead().n_outputs(1, 5) == 5
    assert MulticlassHead().n_outputs(1, 0) == 1


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Did you mean 'multiclass'\?"):
        resolve("multi_class", Head, "kind")
