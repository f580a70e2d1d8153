from collections import OrderedDict

import numpy as np
import pandas as pd
import pytest
import torch
from torchjd.aggregation import MGDA
from torchjd.scalarization import STCH

from skmtl.weighting import Fixed, TorchJD, Weighting, WeightingModule, resolve_weighting
from tests.oracle import new_seeds, numbers

NAMES = ["price", "sold", "box"]


def weights_of(value):
    return (
        resolve_weighting(value, NAMES).build(numbers(*NAMES), 1, new_seeds()).weights[0].tolist()
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [1, 1, 1]),
        ({"sold": 3.0}, [1, 3, 1]),
        (OrderedDict(box=0, price=2), [2, 1, 0]),
        ([1, 2, 3], [1, 2, 3]),
        ((1.0, 2.0, 3.0), [1, 2, 3]),
        (np.array([1.0, 2.0, 3.0]), [1, 2, 3]),
        ("fixed", [1, 1, 1]),
        (Fixed({"box": 5.0}), [1, 1, 5]),
    ],
    ids=str,
)
def test_what_users_write(value, expected):
    assert weights_of(value) == expected


def test_a_series_is_read_by_name():
    assert weights_of(pd.Series({"box": 3.0, "price": 1.0, "sold": 2.0})) == [1, 2, 3]


def test_a_sequence_follows_the_users_order_not_the_networks():
    weighting = resolve_weighting([1.0, 2.0, 3.0], NAMES)
    assert weighting.build(numbers("box", "price", "sold"), 1, new_seeds()).weights[0].tolist() == [
        3,
        1,
        2,
    ]


def test_an_object_is_returned_as_it_is():
    weighting = Fixed({"box": 5.0})
    assert resolve_weighting(weighting, NAMES) is weighting


class OwnAggregator(MGDA):
    """Of a user, in a module of theirs."""


class OwnScalarizer(STCH):
    """Of a user, too."""


@pytest.mark.parametrize("value", [MGDA(), OwnAggregator(), OwnScalarizer(mu=1.0)])
def test_an_object_of_torchjd_or_of_a_class_derived_from_one(value):
    weighting = resolve_weighting(value, NAMES)
    assert isinstance(weighting, TorchJD)
    assert weighting.weighting is value
    assert weighting.build(numbers(*NAMES), 1, new_seeds()) is not None


@pytest.mark.parametrize("value", [[1.0, 2.0], (), np.ones(4)])
def test_a_sequence_of_another_length(value):
    match = r"`loss_weights` must have one weight for each of the 3 tasks \['price', .*Found \d"
    with pytest.raises(ValueError, match=match):
        resolve_weighting(value, NAMES)


def test_unknown_names_and_types():
    with pytest.raises(ValueError, match=r"`loss_weights = 'fixd'`\. Did you mean 'fixed'\?"):
        resolve_weighting("fixd", NAMES)
    with pytest.raises(TypeError, match=r"or a Weighting object\. Found `loss_weights = 2\.0`"):
        resolve_weighting(2.0, NAMES)
    with pytest.raises(TypeError, match=r"Call it: Fixed\(\)\."):
        resolve_weighting(Fixed, NAMES)


class _LogSum(WeightingModule):
    """sum_t log(b_t + L_t) over present tasks: a weighting with state of its own."""

    def __init__(self):
        super().__init__()
        self.offset = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))

    def forward(self, losses, present):
        return (torch.log(self.offset + losses) * present).sum(1)


def test_scales_are_the_derivative_by_the_losses():
    module = _LogSum()
    losses = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.5, 0.0]], dtype=torch.float64)
    present = torch.tensor([True, True, False])
    scales = module.scales(losses, present)
    by_hand = [[1 / 2, 1 / 4, 0], [1 / 4, 1 / 2.5, 0]]
    torch.testing.assert_close(scales, torch.tensor(by_hand, dtype=torch.float64))
    # Its own parameters get their gradient on the way: sum over members of 1 / (b + L).
    torch.testing.assert_close(
        module.offset.grad, torch.tensor([0.75, 0.65, 0.0], dtype=torch.float64)
    )
    assert not losses.requires_grad
    assert losses.grad is None


def test_scales_of_losses_that_do_not_count_are_zero():
    class Nothing(WeightingModule):
        def forward(self, losses, present):
            return losses.detach().sum(1) + torch.ones(1, requires_grad=True)

    scales = Nothing().scales(torch.ones(2, 3), torch.ones(3, dtype=torch.bool))
    assert torch.equal(scales, torch.zeros(2, 3))


@pytest.mark.parametrize("cls", [Weighting, WeightingModule])
def test_they_are_abstract(cls):
    with pytest.raises(TypeError, match="abstract"):
        cls()
