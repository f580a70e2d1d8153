import numpy as np
import pytest
import torch

from skmtl.penalties import TraceNorm, resolve_penalties


def test_by_hand():
    weight = torch.diag(torch.tensor([3.0, -4.0], dtype=torch.float64)).unsqueeze(0)
    assert TraceNorm().build(None, 1).of_weights([weight]).item() == pytest.approx(7.0)


@pytest.mark.parametrize("shape", [(2, 6, 3), (2, 3, 6), (1, 4, 4)])
def test_against_numpy(shape):
    weight = torch.randn(shape, dtype=torch.float64)
    expected = sum(np.linalg.norm(w, "nuc") for w in weight.numpy())
    found = TraceNorm().build(None, len(weight)).of_weights([torch.zeros(2, 9, 9), weight])
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_gradient_is_the_polar_factor():
    weight = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    TraceNorm().build(None, 1).of_weights([weight]).backward()
    U, _, V = torch.linalg.svd(weight[0].detach(), full_matrices=False)
    torch.testing.assert_close(weight.grad[0], U @ V, rtol=0, atol=1e-8)


def test_without_full_rank_the_gradient_is_finite():
    weight = torch.ones(1, 5, 3, requires_grad=True)
    TraceNorm().build(None, 1).of_weights([weight]).backward()
    torch.testing.assert_close(weight.grad, torch.full((1, 5, 3), 15**-0.5), rtol=0, atol=1e-3)


def test_unknown_part():
    with pytest.raises(ValueError, match=r"one of \['heads'\]\. Found `part = 'trunk'`"):
        resolve_penalties(TraceNorm(part="trunk"))
