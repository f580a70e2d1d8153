"""What a case of bad input is, and the small table that all of them change."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skmtl import MultiTaskNetClassifierRegressor

N = 40
_RANDOM = np.random.default_rng(0)
#: Features: two numbers and a word.
X = pd.DataFrame(
    {
        "age": _RANDOM.normal(size=N),
        "size": _RANDOM.normal(size=N),
        "word": _RANDOM.choice(["a", "b"], N),
    }
)
NUMBERS = X[["age", "size"]].to_numpy()
#: Targets: a number and two classes.
Y = pd.DataFrame({"price": NUMBERS[:, 0] * 2 + 1, "sold": np.where(NUMBERS[:, 1] > 0, "yes", "no")})


@dataclass(frozen=True)
class Case:
    """One kind of input, and what comes of it.

    Parameters
    ----------
    group : str
        Heading.
    given : str
        What it is, in words.
    act : callable
        Does it; returns predictions.
    like : callable or None, default=None
        Returns what the predictions must equal.
    blank : tuple of str, default=()
        Tasks that are predicted as missing.
    """

    group: str
    given: str
    act: Callable[[], Any]
    like: Callable[[], Any] | None = None
    blank: tuple[str, ...] = ()


def net(**params: Any) -> MultiTaskNetClassifierRegressor:
    """Return an estimator that is fitted in no time."""
    defaults = {"hidden_layer_sizes": (4,), "max_epochs": 2, "n_members": 1, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**{"early_stopping": False, **defaults, **params})


def fit(X: Any = X, y: Any = Y, *weights: Any, **params: Any) -> Any:
    """Fit, and predict the same rows; after an error nothing is left of the fit."""
    est = net(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return est.fit(X, y, *weights).predict(X)
        except Exception:
            assert not [name for name in vars(est) if name.endswith("_")]
            raise


def fitted(**params: Any) -> MultiTaskNetClassifierRegressor:
    """Return an estimator that knows the table."""
    return net(**params).fit(X, Y)
