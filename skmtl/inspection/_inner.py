"""The multi-task net inside what a user hands over."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
from sklearn import get_config
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmtl.tasks import TargetEncoder, TaskWarning


def inner_net(estimator: Any) -> tuple[Any, str]:
    """Walk through Pipelines and searches to the multi-task net.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline or search that ends in one; fitted or not.

    Returns
    -------
    net : estimator
        The net itself, no copy: that of a search is the one that it clones.
    prefix : str
        What the names of its parameters begin with in `estimator`, as in ``"net__"``.

    Raises
    ------
    TypeError
        If there is no such net.
    """
    net, prefix = estimator, ""
    while not hasattr(net, "predict_outputs"):
        if isinstance(net, Pipeline):
            prefix += f"{net.steps[-1][0]}__"
            net = net.steps[-1][1]
        elif hasattr(net, "estimator"):
            prefix += "estimator__"
            net = net.estimator
        else:
            raise TypeError(
                "Parameter `estimator` must be a multi-task estimator of skmtl, or a Pipeline or "
                f"search that ends in one. Found {type(net).__name__}."
            )
    return net, prefix


def fitted_net(estimator: Any) -> Any:
    """Walk through Pipelines and searches to the net that predicts.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline or search that ends in one; fitted.

    Returns
    -------
    estimator
        The net itself: that of a search is its best one.

    Raises
    ------
    TypeError
        If there is no such net.
    NotFittedError
        If it is not fitted.
    """
    inner_net(estimator)  # tells if there is none
    net = estimator
    while not hasattr(net, "predict_outputs"):
        if isinstance(net, Pipeline):
            net = net.steps[-1][1]
        else:
            net = getattr(net, "best_estimator_", net.estimator)
    check_is_fitted(net, "net_")
    return net


def with_groups(estimator: Any, groups: Any) -> dict[str, Any]:
    """Name the groups of rows as the `fit` of an estimator takes them for its net.

    Parameters
    ----------
    estimator : estimator
        A multi-task net, or a Pipeline that ends in one.
    groups : ndarray of shape (n_samples,)
        Which rows belong together.

    Returns
    -------
    dict of str to ndarray
        A parameter of `fit`.

    Raises
    ------
    ValueError
        If `estimator` is a search, whose `fit` gives groups to its splitter alone.
    """
    net, prefix = inner_net(estimator)
    last = estimator
    while isinstance(last, Pipeline):
        last = last.steps[-1][1]
    if last is not net:
        raise ValueError(
            "With `groups`, the estimator must be a net, or a Pipeline that ends in one. Found "
            f"{type(last).__name__}."
        )
    is_routed = get_config()["enable_metadata_routing"]
    return {"groups" if is_routed else f"{prefix}groups": groups}


def fitted_encoder(net: Any, frame: pd.DataFrame) -> TargetEncoder:
    """Decide on the tasks as the net's `fit` would, without its warnings.

    Parameters
    ----------
    net : estimator
        Whose declarations to read.
    frame : DataFrame of shape (n_samples, n_columns)
        All targets.

    Returns
    -------
    TargetEncoder
        Fitted.
    """
    kind = "classification" if is_classifier(net) else "regression" if is_regressor(net) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskWarning)  # the fits will tell
        return TargetEncoder(net.tasks, kind).fit(frame)
