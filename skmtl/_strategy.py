"""Strategies: small scikit-learn estimators that stand for a choice on one axis."""

from __future__ import annotations

import difflib
import inspect
import sys
from abc import ABC
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

from sklearn.base import BaseEstimator


class Strategy(BaseEstimator, ABC):
    """Base of every choice on an axis (a sharing scheme, a trunk, a weighting).

    A concrete strategy names itself with ``alias`` and has one ``build`` method
    that returns plain torch.  Being a scikit-learn estimator, it can be cloned,
    compared, printed and searched over (``sharing__n_experts``).

    Attributes
    ----------
    alias : str
        The short name that users write in place of an object.
    """

    alias: ClassVar[str]

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Parameter sets over which the contract tests run.

        Returns
        -------
        list of dict
            Keyword arguments for the constructor.
        """
        return [{}]


S = TypeVar("S", bound=Strategy)


def strategies(base: type[S]) -> dict[str, type[S]]:
    """Map alias -> class for the public strategies of the package that defines `base`.

    Parameters
    ----------
    base : type
        The abstract strategy of an axis, such as ``skmtl.sharing.Sharing``.

    Returns
    -------
    dict
        Alias to class.  A strategy is public when the package's ``__init__`` imports it.
    """
    package = sys.modules[base.__module__.rpartition(".")[0]]
    return {
        member.alias: member
        for member in vars(package).values()
        if inspect.isclass(member)
        and issubclass(member, base)
        and not inspect.isabstract(member)
        and hasattr(member, "alias")
    }


@cache
def _parameters_of(strategy: type[Strategy]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(strategy).parameters


def did_you_mean(name: object, known: Any) -> str:
    """Return ``" Did you mean 'x'?"`` for a near miss, else an empty string.

    Parameters
    ----------
    name : object
        What was found.
    known : iterable of str
        What would have been right.

    Returns
    -------
    str
        The hint, starting with a space, or ``""``.
    """
    listed = {str(item).lower(): str(item) for item in known}
    close = difflib.get_close_matches(str(name).lower(), listed, n=1)
    return f" Did you mean {listed[close[0]]!r}?" if close else ""


def resolve(value: Any, base: type[S], parameter: str, **defaults: Any) -> S:
    """Turn what the user wrote for `parameter` into a strategy object.

    Parameters
    ----------
    value : str or Strategy
        An alias, or an object of the axis, which is returned as it is.
    base : type
        The abstract strategy of the axis.
    parameter : str
        The name of the estimator's parameter, for messages.
    **defaults : object
        Constructor arguments for a strategy given by alias; those that its constructor
        does not take are left out.

    Returns
    -------
    Strategy
        The object that stands for the choice.

    Raises
    ------
    ValueError
        If the alias is unknown, or needs arguments that nothing gives.
    TypeError
        If `value` is neither an alias nor an object of the axis.
    """
    if isinstance(value, base):
        return value
    table = strategies(base)
    if isinstance(value, str):
        if value not in table:
            raise ValueError(
                f"Parameter `{parameter}` must be one of {sorted(table)} or a "
                f"{base.__name__} object. Found `{parameter} = {value!r}`."
                f"{did_you_mean(value, table)}"
            )
        strategy = table[value]
        takes = _parameters_of(strategy)
        given = {key: item for key, item in defaults.items() if key in takes}
        lacking = [key for key, p in takes.items() if p.default is p.empty and key not in given]
        if lacking:
            raise ValueError(
                f"Parameter `{parameter} = {value!r}` needs `{lacking[0]}`: pass an object, "
                f"{strategy.__name__}({lacking[0]}=...)."
            )
        return strategy(**given)
    hint = f" Call it: {value.__name__}()." if inspect.isclass(value) else ""
    raise TypeError(
        f"Parameter `{parameter}` must be one of {sorted(table)} or a {base.__name__} object. "
        f"Found `{parameter} = {value!r}`.{hint}"
    )
