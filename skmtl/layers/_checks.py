"""Checks on the numbers that describe a layer."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any


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
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < 1:
        raise ValueError(
            f"Parameter `{parameter}` must be a number in [0, 1). Found `{parameter} = {value!r}`."
        )
    return float(value)
