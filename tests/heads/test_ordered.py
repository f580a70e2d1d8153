"""Rising numbers, beside what the heads of quantiles and ordered classes test of them."""

import pytest
import torch

from skmtl.heads._ordered import Ordered, _sums


@pytest.mark.parametrize(("n", "anchor"), [(1, 0), (2, 0), (2, 1), (5, 0), (5, 2), (5, 4)])
def test_inverse_and_gradient(n, anchor):
    ordered = Ordered(n, anchor)
    z = torch.randn(2, 3, n, 7, dtype=torch.float64, requires_grad=True)
    v = ordered(z)
    assert (v.diff(dim=-2) > 0).all()
    back = ordered.invert(v[..., anchor : anchor + 1, :], v.diff(dim=-2))
    torch.testing.assert_close(back, z)
    weights = torch.randn_like(v)
    expected = torch.autograd.grad((v * weights).sum(), z)[0]
    torch.testing.assert_close(ordered.backward(z.detach(), weights), expected)


def test_by_hand():
    assert _sums(4, 2, torch.float32, torch.device("cpu")).tolist() == [
        [-1, -1, 1, 0],
        [0, -1, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 1],
    ]


def test_the_matrix_can_be_kept_for_a_graph_after_a_prediction():
    _sums.cache_clear()
    z = torch.randn(1, 3, 2)
    with torch.inference_mode():
        Ordered(3, 1)(z)
    Ordered(3, 1)(z.requires_grad_()).sum().backward()
    assert z.grad is not None


@pytest.mark.parametrize("size", [1e-30, 1e4])
def test_extreme_steps_have_an_inverse(size):
    steps = torch.full((2, 1), size)
    z = Ordered(3, 1).invert(torch.zeros(1, 1), steps)
    assert torch.isfinite(z).all()
    torch.testing.assert_close(torch.nn.functional.softplus(z[[0, 2]]), steps, rtol=1e-4, atol=0)
