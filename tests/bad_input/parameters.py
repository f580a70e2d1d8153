"""Values that parameters cannot have."""

from __future__ import annotations

import numpy as np

from tests.bad_input.case import Case, fit

#: By parameter.
VALUES = {
    "preset": ["better", 3],
    "sharing": ["hrad", 3, ["hard"]],
    "loss_weights": ["uncertain", 3.5, {"price": "a"}, [1.0]],
    "normalize_losses": ["yes", 2],
    "trunk": ["mpl", 3],
    "hidden_layer_sizes": [(0,), (-3,), (2.5,), "64", 64.5],
    "activation": ["rleu", 3],
    "dropout": [-0.1, 1.0, "a", np.nan],
    "n_bins": [1, -2, 2.5, "many"],
    "head_layer_sizes": [(0,), "a"],
    "penalty": ["l3", 3],
    "n_members": [0, 2.5, "many", True],
    "bagging": ["rows", True],
    "optimizer": ["adma", 3],
    "lr": [0.0, -1.0, np.nan, np.inf, "a", None],
    "weight_decay": [-1.0, np.nan, "a"],
    "ema_decay": [1.0, -0.1, "a"],
    "batch_size": [0, -2, 2.5, "large"],
    "max_epochs": [0, -1, 2.5, "a"],
    "early_stopping": ["yes", 3],
    "validation_fraction": [0.0, 1.0, -1, "a"],
    "n_iter_no_change": [0, 2.5],
    "tol": [-1.0, np.nan, "a"],
    "class_weight": ["balance", 3.0],
    "calibration": ["platt", True],
    "preprocess": ["standard", 3],
    "device": ["gpu", 3, "cuda:99"],
    "dtype": ["float16", float],
    "n_threads": [0, 2.5],
    "deterministic": ["yes", 2],
    "warm_start": ["yes", 2],
    "random_state": [-1, "a", 2.5],
    "verbose": ["loud"],
    "callbacks": [3, ["print"]],
    "net_params": [3, {3: 4}, {"learning_rate": 1}],
    "checkpoint": [3, ""],
}

CASES = [
    Case(f"parameter {name}", repr(value), lambda name=name, value=value: fit(**{name: value}))
    for name, values in VALUES.items()
    for value in values
]
