import math

import pytest
import torch
from torch.nn import functional as F

from skmtl._strategy import resolve
from skmtl.heads import BinaryHead, Head

M, T, N = 3, 2, 11


def make(last_axis=N):
    z = torch.randn(M, T, 1, N, dtype=torch.float64) * 3
    y = torch.randint(2, (T, 1, N)).double()
    w = torch.rand(T, 1, last_axis, dtype=torch.float64) + 0.1
    if last_axis == N:
        w[:, :, ::4] = 0.0  # missing labels
    return z, y, w


@pytest.mark.parametrize("last_axis", [N, 1])
def test_against_torch(last_axis):
    z, y, w = make(last_axis)
    leaf = z.clone().requires_grad_()
    oracle = F.binary_cross_entropy_with_logits(
        leaf, y.expand_as(z), weight=w.expand(T, 1, N).expand_as(z), reduction="none"
    ).sum((-2, -1))
    expected = torch.autograd.grad(oracle.sum(), leaf)[0]
    inputs = z.clone(), y.clone(), w.clone()
    losses, gradients = BinaryHead().loss_and_gradient(z, y, w)
    assert losses.shape == (M, T)
    torch.testing.assert_close(losses, oracle.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-14)
    assert all(map(torch.equal, (z, y, w), inputs))  # nothing is changed in place


def test_by_hand():
    z = torch.tensor([[[[0.0, math.log(3.0)]]]])
    y = torch.tensor([[[1.0, 0.0]]])
    losses, gradients = BinaryHead().loss_and_gradient(z, y, torch.tensor([[[1.0, 0.5]]]))
    # -log 1/2, and half of -log 1/4; (1/2 - 1) and half of (3/4 - 0).
    assert losses.item() == pytest.approx(math.log(2) + 0.5 * math.log(4))
    assert gradients.flatten().tolist() == pytest.approx([-0.5, 0.375])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("z", [-1e4, 1e4])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_extreme_logits(z, y, dtype):
    outputs = torch.full((1, 1, 1, 2), z, dtype=dtype)
    losses, gradients = BinaryHead().loss_and_gradient(
        outputs, torch.full((1, 1, 2), y, dtype=dtype), torch.ones(1, 1, 2, dtype=dtype)
    )
    wrong = (z > 0) != bool(y)
    assert losses.item() == pytest.approx(2e4 if wrong else 0.0, abs=1e-6)
    assert gradients.flatten().tolist() == [(1.0 if z > 0 else -1.0) if wrong else 0.0] * 2
    p = BinaryHead().link(outputs)
    assert torch.isfinite(p).all()
    assert p.sum(-2).flatten().tolist() == [1.0, 1.0]


def test_the_link_keeps_small_probabilities_of_both_classes():
    p = BinaryHead().link(torch.tensor([[-50.0, 50.0]], dtype=torch.float64))
    assert p[1, 0].item() == pytest.approx(math.exp(-50), rel=1e-12)
    assert p[0, 1].item() == pytest.approx(math.exp(-50), rel=1e-12)


def test_the_link_is_the_softmax_of_zero_and_the_logit():
    z = torch.randn(M, T, 1, N, dtype=torch.float64)
    expected = torch.softmax(torch.cat([torch.zeros_like(z), z], dim=-2), dim=-2)
    torch.testing.assert_close(BinaryHead().link(z), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("last_axis", [N, 1])
def test_null_outputs_minimise_the_loss(last_axis):
    _, y, w = make(last_axis)
    w = w.expand(T, 1, N)
    z = BinaryHead().null_outputs(y, w)
    assert z.shape == (T, 1, 1)

    def loss(constant):
        return BinaryHead().loss_and_gradient(constant.expand(T, 1, N).unsqueeze(0), y, w)[0]

    best = loss(z)
    for step in (-0.01, 0.01):
        assert (loss(z + step) > best).all()


def test_null_outputs_of_one_class_and_of_no_label_are_finite():
    y = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]], [[1.0, 0.0]]])
    w = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]], [[0.0, 0.0]]])
    z = BinaryHead().null_outputs(y, w)
    assert torch.isfinite(z).all()
    assert z[0] > 10
    assert z[1] < -10


def test_one_output_and_targets_as_they_are():
    head = BinaryHead()
    assert head.n_outputs(1, 2) == head.n_outputs(1, 1) == head.n_outputs(1, 0) == 1
    values = torch.tensor([[0.0], [1.0]])
    assert torch.equal(head.encode(values, 1), values)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`kind = 'binnary'`\. Did you mean 'binary'\?"):
        resolve("binnary", Head, "kind")
