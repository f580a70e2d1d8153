"""A small mixed table, and an estimator that fits it in a moment."""

import numpy as np
import pandas as pd
import pytest

from skmtl import MultiTaskNetClassifierRegressor


@pytest.fixture
def table():
    """A mixed table in which a fifth of the labels is missing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    Y = pd.DataFrame(
        {
            "price": 50 + 10 * X[:, 0] + rng.normal(size=120),
            "sold": np.where(X[:, 1] + 0.3 * rng.normal(size=120) > 0, "yes", "no"),
            "kind": np.digitize(X[:, 2], [-0.5, 0.5]),
        }
    ).astype({"kind": "Int64"})
    return X, Y.mask(rng.random(Y.shape) < 0.2)


@pytest.fixture
def make():
    """Make a small estimator."""

    def make(**params):
        defaults = {"hidden_layer_sizes": (16,), "max_epochs": 30, "lr": 0.01, "random_state": 0}
        return MultiTaskNetClassifierRegressor(**{**defaults, **params})

    return make
