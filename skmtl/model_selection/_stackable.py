"""Which estimators a search can train by itself, many at a time, and why not the others."""

from __future__ import annotations

from typing import Any

from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import process_routing

from skmtl.estimators._base import BaseMultiTaskNet
from skmtl.estimators._callbacks import listeners

#: What a net's `fit` takes beside X and y.
_FIT_PARAMS = ("sample_weight", "groups", "X_val", "y_val", "sample_weight_val")


def net_of(estimator: Any) -> Any:
    """Return the net that a search can stack: the estimator, or the last step of a Pipeline.

    Parameters
    ----------
    estimator : estimator
        Of a search.

    Returns
    -------
    estimator or None
        None: something else.
    """
    last = estimator.steps[-1][1] if type(estimator) is Pipeline else estimator
    return None if why_not_stacked(last) else last


def why_not_stacked(estimator: Any) -> str | None:
    """Tell why a search cannot train an estimator itself.

    Parameters
    ----------
    estimator : estimator
        The last step.

    Returns
    -------
    str or None
        None: it can.
    """
    if not isinstance(estimator, BaseMultiTaskNet):
        return "not of skmtl"
    kind = type(estimator)
    if "fit" in vars(estimator) or any(
        getattr(kind, name, None) is not getattr(BaseMultiTaskNet, name, None)
        for name in ("fit", "_fit", "_trainings", "__sklearn_clone__")
    ):
        return "a `fit` of its own"
    return None


def params_of_net(estimator: Any, fit_params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of `fit` by the net's own names.

    Parameters
    ----------
    estimator : estimator
        A net, or a Pipeline that ends in one.
    fit_params : dict
        By name.

    Returns
    -------
    dict or None
        None: other steps get some of them too, or the net knows no such parameter.
    """
    own: Any = fit_params
    if isinstance(estimator, Pipeline) and fit_params:
        last = estimator.steps[-1][0]
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(estimator, "fit", **fit_params)
            others = [bunch for name, bunch in routed.items() if name != last]
            if estimator.transform_input or any(any(bunch.values()) for bunch in others):
                return None
            own = dict(routed[last].fit)
        else:
            before = f"{last}__"
            if not all(name.startswith(before) for name in fit_params):
                return None
            own = {name.removeprefix(before): value for name, value in fit_params.items()}
    return own if set(own) <= set(_FIT_PARAMS) else None


def why_plain(estimator: Any, fit_params: dict[str, Any]) -> str | None:
    """Tell why scikit-learn has to make the fits itself.

    Parameters
    ----------
    estimator : estimator
        Of a search.
    fit_params : dict
        Of the estimator's `fit`.

    Returns
    -------
    str or None
        None: the nets can be fitted by themselves.
    """
    net = estimator.steps[-1][1] if type(estimator) is Pipeline else estimator
    if why := why_not_stacked(net):
        return why
    if listeners(net):  # which are told what a fit is a part of
        return "callbacks"
    if params_of_net(estimator, fit_params) is None:
        return "parameters of `fit` that are not the net's alone"
    return None
