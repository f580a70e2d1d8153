import numpy as np
import pytest

from skmtl.layers import check_choice, check_flag, check_number, check_probability, check_sizes


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


def test_numbers():
    assert check_number(0, "strength") == 0.0
    assert type(check_number(np.float32(0.5), "strength", above=True)) is float
    for value in (0, -1, float("inf"), "1", True, None):
        with pytest.raises(
            ValueError, match=r"must be a finite number above 0\. Found `step_width"
        ):
            check_number(value, "step_width", above=True)
    with pytest.raises(ValueError, match=r"of at least 0 and at most 1\. Found `share = 2`"):
        check_number(2, "share", most=1.0)


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_flags(value):
    checked = check_flag(value, "lite")
    assert type(checked) is bool
    assert checked == value


@pytest.mark.parametrize("value", [0, 1, "no", None, np.array([True, False]), []])
def test_values_that_are_no_flag(value):
    with pytest.raises(ValueError, match=r"`lite` must be True or False\. Found `lite = "):
        check_flag(value, "lite")


def test_choices():
    assert check_choice("l2", "distance", ("l1", "l2")) == "l2"
    match = r"`passes` must be one of \['outputs', 'features'\]\. Found `passes = 'output'`\. Did "
    with pytest.raises(ValueError, match=match + "you mean 'outputs'"):
        check_choice("output", "passes", ("outputs", "features"))


@pytest.mark.parametrize("value", [None, 1, ["outputs"], np.array(["outputs", "x"]), object()])
def test_values_that_are_no_choice(value):
    with pytest.raises(ValueError, match="must be one of"):
        check_choice(value, "passes", ("outputs", "features"))
