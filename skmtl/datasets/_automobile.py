"""Cars of 1985: numbers, two classes, several classes, and labels that are missing."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd
from sklearn.utils import Bunch

_TARGETS = {
    "price": "regression",
    "normalized_losses": "regression",
    "city_mpg": "regression",
    "highway_mpg": "regression",
    "symboling": "regression",
    "num_doors": "binary",
    "body_style": "multiclass",
}


def load_automobile(*, return_X_y: bool = False) -> Bunch | tuple[pd.DataFrame, pd.DataFrame]:  # noqa: N803
    """Load the automobile data: 201 cars, 19 features, 7 targets of three kinds.

    The features are words and numbers, some missing.  The targets are price (dollars),
    normalized_losses (an insurer's average loss per car and year; 37 labels are missing),
    city_mpg and highway_mpg (miles per gallon), symboling (the insurer's risk class, -2 to
    3, taken as a number), num_doors ("two" or "four"; 2 labels are missing) and body_style
    (four classes).

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(X, Y)`` in place of a Bunch.

    Returns
    -------
    Bunch with data, target, tasks, frame and DESCR, or tuple of two DataFrames
        ``data`` of shape (201, 19), ``target`` of shape (201, 7), and ``tasks``, a dict of
        kinds for the ``tasks`` parameter of the estimators.

    References
    ----------
    J. Schlimmer: Automobile, UCI Machine Learning Repository, 1985, doi:10.24432/C5B01C.
    Licence: CC BY 4.0.  Changed: the rows without a price are left out, hardtop and
    convertible are one body style.

    Examples
    --------
    >>> from skmtl.datasets import load_automobile
    >>> X, Y = load_automobile(return_X_y=True)
    >>> X.shape, Y.shape, int(Y.isna().sum().sum())
    ((201, 19), (201, 7), 39)
    """
    path = files("skmtl.datasets") / "data" / "automobile.csv.gz"
    with path.open("rb") as file:
        frame = pd.read_csv(file, compression="gzip")
    data, target = frame.drop(columns=list(_TARGETS)), frame[list(_TARGETS)]
    if return_X_y:
        return data, target
    return Bunch(
        data=data, target=target, tasks=dict(_TARGETS), frame=frame, DESCR=load_automobile.__doc__
    )
