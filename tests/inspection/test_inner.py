"""The net inside Pipelines and searches."""

import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifier, MultiTaskNetRegressor
from skmtl.inspection._inner import fitted_encoder, fitted_net, inner_net


def test_walks_through_pipelines_and_searches(make):
    net = make()
    pipeline = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), net))
    found, prefix = inner_net(pipeline)
    assert found is net
    assert pipeline.get_params()[f"{prefix}lr"] == net.lr
    search = GridSearchCV(pipeline, {})
    assert inner_net(search) == (net, f"estimator__{prefix}")
    assert inner_net(net) == (net, "")


def test_the_net_that_predicts(make, table):
    X, Y = table
    net = make(max_epochs=1)
    search = GridSearchCV(make_pipeline(StandardScaler(), net), {}, cv=2)
    nested = make_pipeline(StandardScaler(), search)
    for unfitted in (net, search, nested):
        with pytest.raises(NotFittedError):
            fitted_net(unfitted)
    nested.fit(X, Y)
    assert fitted_net(nested) is search.best_estimator_[-1]
    assert fitted_net(search) is search.best_estimator_[-1]
    assert fitted_net(search.best_estimator_[-1]) is search.best_estimator_[-1]
    with pytest.raises(TypeError, match="Found StandardScaler"):
        fitted_net(StandardScaler())


def test_no_net(make):
    with pytest.raises(TypeError, match="Found LinearRegression"):
        inner_net(make_pipeline(StandardScaler(), LinearRegression()))


def test_tasks_are_those_of_the_estimators_fit(make):
    Y = pd.DataFrame({"count": [0, 1, 2] * 10})
    for net, kind in (
        (make(), "multiclass"),
        (make(tasks={"count": "regression"}), "regression"),
        (MultiTaskNetRegressor(), "regression"),
        (MultiTaskNetClassifier(), "multiclass"),
    ):
        assert fitted_encoder(net, Y).tasks_[0].kind == kind
