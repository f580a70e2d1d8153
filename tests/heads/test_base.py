import pytest
import torch

from skmtl.heads import Head


def test_weighted_mean_by_hand():
    y = torch.tensor([[[1.0, 3.0, 100.0]]])
    w = torch.tensor([[[3.0, 1.0, 0.0]]])
    assert Head.weighted_mean(y, w).tolist() == [[[1.5]]]


def test_one_weight_for_several_outputs():
    y, w = torch.randn(2, 3, 5), torch.rand(2, 1, 5)
    expected = [[[(y[t, k] * w[t, 0]).sum() / w[t, 0].sum()] for k in range(3)] for t in range(2)]
    torch.testing.assert_close(Head.weighted_mean(y, w), torch.tensor(expected))


def test_no_weight_at_all_is_zero():
    assert (Head.weighted_mean(torch.randn(2, 1, 3), torch.zeros(2, 1, 3)) == 0).all()


def test_small_weights_count():
    y, w = torch.tensor([[[2.0]]]), torch.tensor([[[1e-30]]])
    assert Head.weighted_mean(y, w).item() == pytest.approx(2.0)


def test_it_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Head()
