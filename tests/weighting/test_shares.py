import math

import pytest
import torch

from skmtl.weighting._shares import softmax_of_present, task_shares
from tests.weighting.losses import doubles, here


def test_by_hand():
    scores = doubles([0.0, math.log(3.0), 7.0], [0.0, 0.0, 0.0])
    present = here(1, 1, 0)
    expected = doubles([0.25, 0.75, 0.0], [0.5, 0.5, 0.0])
    torch.testing.assert_close(softmax_of_present(scores, present), expected)
    torch.testing.assert_close(task_shares(scores, present), 2 * expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e8])
def test_they_are_the_softmax_of_the_tasks_that_are_present(scale, dtype):
    scores = scale * torch.randn(4, 5, dtype=dtype)
    present = here(0, 1, 1, 0, 1)
    shares = task_shares(scores, present)
    torch.testing.assert_close(shares[:, present], 3 * scores[:, present].softmax(1))
    assert not shares[:, ~present].any()
    assert shares.dtype == dtype


def test_nobody_is_present():
    assert task_shares(doubles([1.0, -1.0]), here(0, 0)).tolist() == [[0, 0]]
