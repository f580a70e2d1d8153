"""Weightings as an axis of a search, beside the sharing schemes, on real data."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torchjd.aggregation import ConFIG

from skmtl import MultiTaskNetClassifierRegressor, TaskScoring
from skmtl.datasets import load_automobile
from skmtl.features import FeatureEncoder
from skmtl.weighting import DBMTL, CAGrad, Uncertainty

WEIGHTS = [None, {"price": 3.0}, [1, 1, 1, 1, 2, 1, 1], "uncertainty", CAGrad(c=0.2), ConFIG()]


@pytest.fixture(scope="module")
def cars():
    X, Y = load_automobile(return_X_y=True)
    assert Y.isna().sum().sum() == 39
    return X, Y


def pipeline(**params):
    net = MultiTaskNetClassifierRegressor(
        hidden_layer_sizes=(16,), max_epochs=3, preprocess=None, random_state=0, **params
    )
    return make_pipeline(FeatureEncoder(), net)


def test_sharing_by_loss_weights(cars):
    step = "multitasknetclassifierregressor"
    grid = {f"{step}__sharing": ["hard", "mmoe"], f"{step}__loss_weights": WEIGHTS}
    search = GridSearchCV(
        pipeline(), grid, scoring=TaskScoring(), refit="score", cv=2, error_score="raise"
    )
    found = search.fit(*cars).cv_results_
    assert len(found["params"]) == 12
    assert np.isfinite(found["mean_test_score"]).all()
    assert len(set(found["mean_test_score"].round(12))) == 12
    names = search.best_estimator_[-1].task_weights_.columns
    assert names.tolist() == cars[1].columns.tolist()


def test_a_search_over_parameters_of_a_weighting(cars):
    step = "multitasknetclassifierregressor__loss_weights"
    grid = [{step: [Uncertainty()], f"{step}__lr": [1e-3, 0.3]}, {step: ["stch"]}]
    search = GridSearchCV(
        pipeline(), grid, scoring=TaskScoring(), refit="score", cv=2, error_score="raise"
    ).fit(*cars)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores.round(12))) == 3


def test_the_same_in_processes(cars):
    grid = {"multitasknetclassifierregressor__loss_weights": ["random", "pcgrad", DBMTL()]}
    scores = [
        GridSearchCV(pipeline(), grid, scoring=TaskScoring(), refit=False, cv=2, n_jobs=n_jobs)
        .fit(*cars)
        .cv_results_["mean_test_score"]
        for n_jobs in (None, 2)
    ]
    np.testing.assert_array_equal(*scores)


def test_weights_by_task_survive_another_order_of_columns(cars):
    X, Y = cars
    turned = Y[Y.columns[::-1]]
    ours, theirs = (
        pipeline(loss_weights={"price": 5.0}).fit(X, frame)[-1].task_weights_
        for frame in (Y, turned)
    )
    pd.testing.assert_frame_equal(ours, theirs[ours.columns])
    assert ours["price"].tolist() == [5.0, 5.0, 5.0]
