import numpy as np
import pytest

from skmtl.layers import check_probability, check_sizes


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), ()),
        ([], ()),
        (7, (7,)),
        ((64, 32), (64, 32)),
        ([3, 2, 1], (3, 2, 1)),
        (np.array([4, 5]), (4, 5)),
        (np.int64(6), (6,)),
    ],
)
def test_sizes_become_a_tuple_of_int(sizes, expected):
    checked = check_sizes(sizes, "hidden_layer_sizes")
    assert checked == expected
    assert all(type(size) is int for size in checked)


@pytest.mark.parametrize("sizes", [0, -1, (8, 0), (8.0,), 2.5, "64", ("64",), None, object()])
def test_sizes_that_are_none(sizes):
    match = r"Parameter `widths` must hold whole numbers of at least 1\. Found `widths = "
    with pytest.raises(ValueError, match=match):
        check_sizes(sizes, "widths")


@pytest.mark.parametrize("value", [True, (True, 8)])
def test_a_truth_value_is_no_size(value):
    with pytest.raises(ValueError, match="whole numbers of at least 1"):
        check_sizes(value, "hidden_layer_sizes")


@pytest.mark.parametrize("value", [0, 0.0, 0.5, np.float32(0.25), 0.999])
def test_probabilities(value):
    checked = check_probability(value, "dropout")
    assert type(checked) is float
    assert checked == value


@pytest.mark.parametrize("value", [1, 1.0, -0.1, float("nan"), float("inf"), "0.1", None, False])
def test_numbers_that_are_no_probability(value):
    match = r"Parameter `dropout` must be a number in \[0, 1\)\. Found `dropout = "
    with pytest.raises(ValueError, match=match):
        check_probability(value, "dropout")
