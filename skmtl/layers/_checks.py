"""Checks on the numbers, flags and words that describe a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skmtl._numbers import is_finite_number, is_number
from skmtl._strategy import did_you_mean


def check_sizes(sizes: Any, parameter: str) -> tuple[int, ...]:
    """Check the widths of hidden layers.

    Parameters
    ----------
    sizes : int or sequence of int
        Widths, each at least 1; empty for no hidden layer.
    parameter : str
        Name of the parameter, for messages.

    Returns
    -------
    tuple of int
        The widths.

    Raises
    ------
    ValueError
        If a width is not a whole number of at least 1.
    """
    listed = (sizes,) if isinstance(sizes, Integral) else sizes
    several = isinstance(listed, Iterable) and not isinstance(listed, str)
    listed = tuple(listed) if several else ("",)
    whole = all(isinstance(s, Integral) and not isinstance(s, bool) and int(s) >= 1 for s in listed)
    if not whole:
        raise ValueError(
            f"Parameter `{parameter}` must hold whole numbers of at least 1. "
            f"Found `{parameter} = {sizes!r}`."
        )
    return tuple(int(size) for size in listed)


def check_probability(value: Any, parameter: str) -> float:
    """Check a probability below 1.

    Parameters
    ----------
    value : float
        In [0, 1).
    parameter : str
        Name of the parameter, for messages.

    Returns
    -------
    float
        The value.

    Raises
    ------
    ValueError
        If it is not a number in [0, 1).
    """
    if not is_number(value) or not 0 <= float(value) < 1:
        raise ValueError(
            f"Parameter `{parameter}` must be a number in [0, 1). Found `{parameter} = {value!r}`."
        )
    return float(value)


def check_whole(value: Any, parameter: str, least: int = 1) -> int:
    """Check a whole number.

    Parameters
    ----------
    value : int
        At least `least`.
    parameter : str
        Name of the parameter, for messages.
    least : int, default=1
        The smallest number allowed.

    Returns
    -------
    int
        The value.

    Raises
    ------
    ValueError
        If it is not a whole number, or too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(
            f"Parameter `{parameter}` must be a whole number of at least {least}. "
            f"Found `{parameter} = {value!r}`."
        )
    return int(value)


def check_number(
    value: Any, parameter: str, *, most: float = math.inf, above: bool = False
) -> float:
    """Check a finite number of at least 0, or above 0.

    Parameters
    ----------
    value : float
        In [0, most].
    parameter : str
        Name of the parameter, for messages.
    most : float, default=inf
        The largest number allowed.
    above : bool, default=False
        Whether 0 itself is refused.

    Returns
    -------
    float
        The value.

    Raises
    ------
    ValueError
        If it is not such a number.
    """
    valid = is_finite_number(value) and 0 <= float(value) <= most
    if not valid or (above and value == 0):
        lower = "above 0" if above else "of at least 0"
        upper = "" if math.isinf(most) else f" and at most {most:g}"
        raise ValueError(
            f"Parameter `{parameter}` must be a finite number {lower}{upper}. "
            f"Found `{parameter} = {value!r}`."
        )
    return float(value)


def check_flag(value: Any, parameter: str) -> bool:
    """Check a flag.

    Parameters
    ----------
    value : bool
        Of Python or numpy.
    parameter : str
        Name of the parameter, for messages.

    Returns
    -------
    bool
        The value.

    Raises
    ------
    ValueError
        If it is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(
            f"Parameter `{parameter}` must be True or False. Found `{parameter} = {value!r}`."
        )
    return bool(value)


def check_choice(value: Any, parameter: str, choices: Sequence[str]) -> str:
    """Check a word.

    Parameters
    ----------
    value : str
        One of `choices`.
    parameter : str
        Name of the parameter, for messages.
    choices : sequence of str
        The words allowed.

    Returns
    -------
    str
        The value.

    Raises
    ------
    ValueError
        If it is no such word.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"Parameter `{parameter}` must be one of {list(choices)}. "
            f"Found `{parameter} = {value!r}`.{did_you_mean(value, choices)}"
        )
    return value
