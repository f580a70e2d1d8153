"""Linear models trained to their minimum, and a table for them with every kind that is convex."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from skmtl import MultiTaskNetClassifierRegressor, Task

#: The vector and the labels are tasks of several columns, each with one loss.
TASKS = [
    Task("box", "regression", columns=["width", "height"]),
    Task("tags", "multilabel", columns=["warm", "loud"]),
    Task("visits", "count"),
]


class Table(NamedTuple):
    """Rows, and a weight for each of them."""

    X: np.ndarray
    Y: pd.DataFrame
    weights: np.ndarray

    def labelled(self, column):
        """Features, labels and weights of the rows that have this label."""
        keep = self.Y[column].notna().to_numpy()
        return self.X[keep], self.Y[column][keep].to_numpy(), self.weights[keep]


def made(n=160, *, missing=0.2, seed=0):
    """Draw a table from linear models of every kind, in units of their own."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    noise = random.normal(size=(n, 6))
    Y = pd.DataFrame(
        {
            "price": 3e4 + 5e3 * (X @ [1.0, -2.0, 0.5] + noise[:, 0]),
            "width": 1e-3 * (X @ [0.5, 0.0, 1.0] + 0.5 * noise[:, 1]),
            "height": 7.0 + X @ [-1.0, 1.0, 0.0] + 2.0 * noise[:, 2],
            "sold": np.where(X @ [1.0, 1.0, 0.0] + noise[:, 3] > 0.5, "yes", "no"),
            "kind": np.array(["a", "b", "c"])[(X[:, :3] + random.gumbel(size=(n, 3))).argmax(1)],
            "visits": random.poisson(np.exp(0.5 + X @ [0.5, -0.3, 0.0])).astype(float),
            "warm": (X[:, 0] + noise[:, 4] > 0).astype(float),
            "loud": (X[:, 1] + noise[:, 5] > 1).astype(float),
        }
    )
    return Table(X, Y.mask(random.random(Y.shape) < missing), random.uniform(0.2, 3.0, n))


def fit(X, y, sample_weight=None, **params):
    """Fit a model without hidden layers to its minimum, all rows at once, in float64."""
    net = {"optimizer__max_iter": 500, "optimizer__line_search_fn": "strong_wolfe"}
    net |= {"optimizer__tolerance_grad": 1e-12, "optimizer__tolerance_change": 1e-16}
    net |= {"optimizer__history_size": 50}
    lbfgs = {"optimizer": torch.optim.LBFGS, "lr": 1.0, "max_epochs": 3, "net_params": net}
    common = {"n_members": 1, "early_stopping": False, "preprocess": None, "batch_size": -1}
    params = {**common, "hidden_layer_sizes": (), "dtype": "float64", "random_state": 0, **params}
    est = MultiTaskNetClassifierRegressor(**(params if "optimizer" in params else lbfgs | params))
    return est.fit(X, y, sample_weight=sample_weight)


def values(est, X):
    """What is predicted, by task: numbers in the units of y, and probabilities."""
    return {output.task.name: output.values for output in est.predict_outputs(X)}


def coefficients(predict, n_features):
    """Read intercept and slopes off a linear prediction, shape (1 + feature, column)."""
    at_zero = np.asarray(predict(np.zeros((1, n_features))))
    return np.vstack([at_zero, np.asarray(predict(np.eye(n_features))) - at_zero])
