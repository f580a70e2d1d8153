import numpy as np
import pytest

from skmtl._numbers import is_finite_number, is_number


@pytest.mark.parametrize("value", [1, -2.5, np.float32(3), np.int64(4)])
def test_numbers(value):
    assert is_number(value)
    assert is_finite_number(value)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, [1], 1j])
def test_no_numbers(value):
    assert not is_number(value)
    assert not is_finite_number(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -float("inf")])
def test_numbers_that_are_not_finite(value):
    assert is_number(value)
    assert not is_finite_number(value)
