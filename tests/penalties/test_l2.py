import pytest
import torch

from skmtl.penalties import L2, resolve_penalties


def test_by_hand():
    weights = [torch.tensor([[1.0, -2.0]]), torch.tensor([3.0, 0.0])]
    assert L2().build(None, 1).of_weights(weights).item() == 7.0  # (1 + 4 + 9) / 2


def test_against_the_norm_of_torch():
    weights = [torch.randn(3, 4, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
    norm = torch.linalg.vector_norm(torch.cat([w.flatten() for w in weights]))
    torch.testing.assert_close(
        L2().build(None, 1).of_weights(weights), norm**2 / 2, rtol=1e-14, atol=0
    )


def test_the_gradient_is_the_weight():
    weight = torch.tensor([2.0, -0.5, 0.0], requires_grad=True)
    L2().build(None, 1).of_weights([weight]).backward()
    assert torch.equal(weight.grad, weight.detach())


def test_zero_weights_cost_nothing():
    assert L2().build(None, 1).of_weights([torch.zeros(3), torch.zeros(2, 2)]).item() == 0.0


def test_unknown_part():
    with pytest.raises(ValueError, match=r"Found `part = 'bias'`"):
        resolve_penalties(L2(part="bias"))
