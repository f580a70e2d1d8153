"""What counts as a number where a user gives one."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def is_number(value: Any) -> bool:
    """Tell whether a value is a real number, and no flag.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        True for NumPy's numbers, too; False for True and False.
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def is_finite_number(value: Any) -> bool:
    """Tell whether a value is a real number, no flag, and neither NaN nor infinite.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        True for NumPy's numbers, too.
    """
    return is_number(value) and math.isfinite(value)
