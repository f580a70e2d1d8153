"""One description of the parameters for all estimators."""

from __future__ import annotations

import inspect
from typing import TypeVar

from skmtl.estimators._mixed import MultiTaskNetClassifierRegressor

T = TypeVar("T", bound=type)


def same_parameters(cls: T) -> T:
    """Copy the sections Parameters to References into a class docstring, before Examples.

    Parameters
    ----------
    cls : type
        An estimator with the parameters of :class:`MultiTaskNetClassifierRegressor`.

    Returns
    -------
    type
        The class.
    """
    source = inspect.cleandoc(MultiTaskNetClassifierRegressor.__doc__ or "")
    sections = source[source.index("Parameters\n---") : source.index("Examples\n---")]
    doc = inspect.cleandoc(cls.__doc__ or "")
    position = doc.index("Examples\n---")
    cls.__doc__ = doc[:position] + sections + doc[position:]
    return cls
