import numpy as np
import pytest
import torch

from skmtl.weighting import Fixed
from tests.oracle import new_seeds, numbers

NAMES = ["price", "sold", "box"]


def test_by_hand():
    module = Fixed({"sold": 2.0, "box": 0.0}).build(numbers(*NAMES), 2, new_seeds())
    losses = torch.tensor([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    present = torch.ones(3, dtype=torch.bool)
    assert module(losses, present).tolist() == [21.0, 42.0]
    assert module.scales(losses, present).tolist() == [[1, 2, 0], [1, 2, 0]]


def test_without_weights_it_is_the_sum():
    losses = torch.rand(3, 3, dtype=torch.float64)
    total = Fixed().build(numbers(*NAMES), 3, new_seeds())(losses, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(total, losses.sum(1))


def test_weights_keep_double_precision():
    module = Fixed({"price": 0.1}).build(numbers(*NAMES), 1, new_seeds()).to(torch.float64)
    assert module.weights[0, 0].item() == 0.1


def test_weights_move_with_the_module():
    module = Fixed({"price": 0.5}).build(numbers(*NAMES), 2, new_seeds())
    assert "weights" in module.state_dict()
    assert module.to(torch.float32).weights.dtype == torch.float32
    assert not list(module.parameters())


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "2", None, True])
def test_weights_that_are_none(weight):
    match = r"the weight of task 'sold' must be a finite number of at least 0\. Found "
    with pytest.raises(ValueError, match=match):
        Fixed({"sold": weight}).build(numbers(*NAMES), 1, new_seeds())


def test_an_unknown_task():
    match = (
        r"unknown task 'prise'\. The tasks are \['price', 'sold', 'box'\]\. Did you mean 'price'"
    )
    with pytest.raises(ValueError, match=match):
        Fixed({"prise": 1.0}).build(numbers(*NAMES), 1, new_seeds())


def test_no_weight_above_zero():
    with pytest.raises(ValueError, match="must give some task a weight above 0"):
        Fixed(dict.fromkeys(NAMES, 0.0)).build(numbers(*NAMES), 1, new_seeds())


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0], np.ones(3), "price"])
def test_no_mapping(weights):
    with pytest.raises(TypeError, match=r"`weights` of Fixed must be a mapping from task names"):
        Fixed(weights).build(numbers(*NAMES), 1, new_seeds())
