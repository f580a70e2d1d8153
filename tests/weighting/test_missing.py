"""Every weighting on tables from which more and more labels are missing.

Six regressions of one hidden representation, in batches of 16 rows.  With 92% of the labels
missing, and some tasks having more than others, 98% of the batches lack a task: a weighting in
which absent tasks take part as zeros hardly moves the trunk (the last test).
"""

import functools
import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score

from skmtl import MultiTaskNetRegressor
from skmtl._strategy import strategies
from skmtl.weighting import MGDA, Direction, Equal, Weighting, WeightingModule

TASKS = list("abcdef")
N_TRAIN = 1200
#: By the share of labels that is missing, how much of the test R2 of equal weights (0.94, 0.93,
#: 0.90, 0.57) a weighting may lose.  What was lost at most, when this was written: 0.02, 0.02,
#: 0.10 and 0.09; zeros for absent tasks cost 0.24 of the 0.57.
MARGINS = {0.0: 0.05, 0.18: 0.05, 0.8: 0.15, 0.92: 0.15}
#: Labels of the tasks relative to their mean.
UNEQUAL = np.array([2.0, 1.5, 1.2, 0.9, 0.3, 0.1])


@functools.cache
def table(missing):
    """Features and targets for training, and for the test."""
    random = np.random.default_rng(0)
    X = random.normal(size=(N_TRAIN + 400, 10))
    linear, bent = X @ random.normal(size=(10, 2)), X @ random.normal(size=(10, 2))
    hidden = np.column_stack([linear / np.sqrt(10), np.tanh(2 * bent / np.sqrt(10))])
    Y = hidden @ random.normal(size=(4, len(TASKS)))
    Y = Y / Y.std(axis=0) + 0.1 * random.normal(size=Y.shape)
    labelled = np.full(len(TASKS), 1 - missing)
    if missing > 0.5:
        labelled *= UNEQUAL
    train = np.where(random.uniform(size=(N_TRAIN, len(TASKS))) < labelled, Y[:N_TRAIN], np.nan)
    return X[:N_TRAIN], pd.DataFrame(train, columns=TASKS), X[N_TRAIN:], Y[N_TRAIN:]


def score(weighting, missing):
    """Mean test R2 over the tasks."""
    X, Y, X_test, Y_test = table(missing)
    net = MultiTaskNetRegressor(
        sharing="hard",
        loss_weights=weighting,
        hidden_layer_sizes=(8,),
        lr=5e-3,
        batch_size=16,
        max_epochs=8 if missing > 0.5 else 6,
        early_stopping=False,
        n_bins=0,
        random_state=0,
    )
    return r2_score(Y_test, net.fit(X, Y).predict(X_test))


@functools.cache
def floor(missing):
    """What a weighting has to reach."""
    return score(Equal(), missing) - MARGINS[missing]


def with_needed_parameters(cls):
    """Make a weighting with its defaults, or, where some have none, for the contract tests."""
    parameters = inspect.signature(cls).parameters.values()
    if "warmup_epochs" in inspect.signature(cls).parameters:
        return cls(warmup_epochs=1)  # most of the few epochs are to come after it
    needs = any(p.default is p.empty for p in parameters)
    return cls(**cls.test_params()[0]) if needs else cls()


@pytest.mark.parametrize("missing", MARGINS)
def test_equal_weights_learn_the_tasks(missing):
    assert floor(missing) > 0.4


@pytest.mark.parametrize("missing", MARGINS)
@pytest.mark.parametrize("alias", strategies(Weighting))
def test_no_weighting_falls_far_behind_equal_weights(alias, missing):
    weighting = with_needed_parameters(strategies(Weighting)[alias])
    assert score(weighting, missing) > floor(missing)


class ZeroRows(Weighting):
    """MGDA over all tasks, as if absent ones had gradients of zero."""

    needs_gradients = True

    def build(self, layout, n_members, seeds):
        return _ZeroRows(MGDA(update_every=1).build(layout, n_members, seeds))


class _ZeroRows(WeightingModule):
    needs_gradients = True

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def forward(self, losses, present):
        return (losses * present).sum(1)

    def direction(self, losses, present, gradients):
        if present.all():
            return self.rule.direction(losses, present, gradients)
        # The shortest vector of the hull is that of an absent task.
        return Direction(torch.zeros_like(losses))


def test_zeros_for_absent_tasks_would_be_noticed():
    assert score(ZeroRows(), 0.18) > floor(0.18)
    assert score(ZeroRows(), 0.92) < floor(0.92) - 0.05
