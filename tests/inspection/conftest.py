"""Small mixed tables, plain and with planted groups of tasks."""

import numpy as np
import pandas as pd
import pytest

from skmtl import MultiTaskNetClassifierRegressor


@pytest.fixture
def make():
    """Make a small estimator."""

    def make(**params):
        defaults = {"hidden_layer_sizes": (16,), "max_epochs": 20, "lr": 0.01, "random_state": 0}
        return MultiTaskNetClassifierRegressor(**{**defaults, **params})

    return make


@pytest.fixture
def table():
    """A mixed table in which a fifth of the labels is missing; a class task stands first."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    Y = pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c"])[np.digitize(X[:, 2], [-0.5, 0.5])],
            "price": 50 + 10 * X[:, 0] + rng.normal(size=120),
            "sold": np.where(X[:, 1] + 0.3 * rng.normal(size=120) > 0, "yes", "no"),
            "size": X[:, 0] - X[:, 1] + 0.5 * rng.normal(size=120),
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.2)


@pytest.fixture
def planted():
    """Make a table of two groups of tasks, each with three waves of x of its own."""

    def planted(seed, sizes=(4, 4), n_rows=600, missing=0.0):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n_rows, 10))
        columns = {}
        for name, n_tasks in zip("ab", sizes, strict=True):
            hidden = np.sin(2 * X @ rng.normal(size=(10, 3)) / np.sqrt(10))
            for task in range(n_tasks):
                y = hidden @ rng.normal(size=3)
                y = y / y.std() + 0.3 * rng.normal(size=n_rows)
                is_class = task == n_tasks - 1
                columns[f"{name}{task}"] = np.where(y > 0, "high", "low") if is_class else y
        Y = pd.DataFrame(columns)[sorted(columns, key=lambda name: name[::-1])]
        return X, Y.mask(rng.random(Y.shape) < missing)

    return planted
