import numpy as np
import pytest
import torch

from skmtl.weighting._orders import draw_orders


@pytest.mark.parametrize("drawn_of_others", [0, 1])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_each_task_meets_each_other_once(n, drawn_of_others):
    orders = draw_orders(n, n - drawn_of_others, torch.Generator().manual_seed(0))
    assert orders.shape == (n, n - 1)
    for i, order in enumerate(orders):
        assert sorted(order) == [j for j in range(n) if j != i]


def test_what_is_drawn():
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.randperm(4, generator=generator).tolist() for _ in range(4)]
    found = draw_orders(4, 4, torch.Generator().manual_seed(1))
    assert found.tolist() == [[j for j in row if j != i] for i, row in enumerate(drawn)]
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.randperm(3, generator=generator).tolist() for _ in range(4)]
    found = draw_orders(4, 3, torch.Generator().manual_seed(1))
    others = [[j for j in range(4) if j != i] for i in range(4)]
    assert found.tolist() == [[others[i][k] for k in row] for i, row in enumerate(drawn)]


def test_all_orders_come_up():
    generator = torch.Generator().manual_seed(2)
    first = [draw_orders(3, 2, generator)[0, 0] for _ in range(200)]
    assert np.bincount(first).tolist()[0] == 0
    assert 70 < first.count(1) < 130
