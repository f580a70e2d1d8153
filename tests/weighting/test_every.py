import copy
import inspect
import pickle

import pytest

from skmtl._strategy import strategies
from skmtl.weighting import Weighting
from skmtl.weighting._every import EverySteps


@pytest.mark.parametrize(
    ("update_every", "expected"), [(1, [1, 1, 1, 1, 1]), (2, [1, 0, 1, 0, 1]), (4, [1, 0, 0, 0, 1])]
)
def test_which_steps_are_due(update_every, expected):
    steps = EverySteps(update_every)
    assert [steps.is_due() for _ in range(5)] == expected


def test_a_copy_counts_on():
    steps = EverySteps(3)
    steps.is_due()
    for twin in (copy.deepcopy(steps), pickle.loads(pickle.dumps(steps))):
        assert [twin.is_due() for _ in range(4)] == [False, False, True, False]


@pytest.mark.parametrize("update_every", [0, 1.5, "4", True])
def test_no_number_of_steps(update_every):
    with pytest.raises(ValueError, match=r"`update_every` must be a whole number of at least 1"):
        EverySteps(update_every)


def test_methods_that_read_gradients_have_one_default():
    found = {}
    for alias, cls in strategies(Weighting).items():
        parameter = inspect.signature(cls).parameters.get("update_every")
        if parameter is not None:
            found[alias] = parameter.default
    others = {"uncertainty": 1, "imtl_l": 1, "famo": 4}
    assert {alias: found.pop(alias) for alias in others} == others
    assert len(found) > 10
    assert set(found.values()) == {8}
