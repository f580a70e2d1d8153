import pytest
import torch

from skmtl.penalties import L1, resolve_penalties


def test_by_hand():
    weights = [torch.tensor([[1.0, -2.0]]), torch.tensor([3.0, 0.0])]
    assert L1().build(None, 1).of_weights(weights).item() == 6.0


def test_against_the_norm_of_torch():
    weights = [torch.randn(3, 4, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
    expected = torch.linalg.vector_norm(torch.cat([w.flatten() for w in weights]), ord=1)
    torch.testing.assert_close(
        L1().build(None, 1).of_weights(weights), expected, rtol=1e-14, atol=0
    )


def test_the_gradient_is_the_sign_and_zero_at_zero():
    weight = torch.tensor([2.0, -0.5, 0.0], requires_grad=True)
    L1().build(None, 1).of_weights([weight]).backward()
    assert weight.grad.tolist() == [1.0, -1.0, 0.0]


def test_zero_weights_cost_nothing():
    assert L1().build(None, 1).of_weights([torch.zeros(3), torch.zeros(2, 2)]).item() == 0.0


def test_negative_strength():
    with pytest.raises(ValueError, match=r"Found `strength = -1\.0`"):
        resolve_penalties(L1(-1.0))
