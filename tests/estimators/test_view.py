"""One task as a scikit-learn estimator, in scikit-learn's own tools."""

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import get_scorer


@pytest.fixture
def fitted(table, make):
    X, Y = table
    return make(max_epochs=60).fit(X, Y), X, Y


def test_types_and_predictions(fitted):
    est, X, _ = fitted
    price, sold = est.task_view("price"), est.task_view("sold")
    assert is_regressor(price)
    assert is_classifier(sold)
    np.testing.assert_allclose(price.predict(X), est.predict(X)["price"])
    np.testing.assert_array_equal(sold.predict(X), est.predict(X)["sold"].to_numpy(dtype=object))
    np.testing.assert_array_equal(sold.predict_proba(X), est.predict_proba(X)["sold"])
    assert sold.n_features_in_ == 4


def test_scorers_of_scikit_learn(fitted):
    est, X, Y = fitted
    keep = Y["sold"].notna().to_numpy()
    assert get_scorer("roc_auc")(est.task_view("sold"), X[keep], Y["sold"][keep]) > 0.9
    keep = Y["price"].notna().to_numpy()
    assert get_scorer("r2")(est.task_view("price"), X[keep], Y["price"][keep]) > 0.9


def test_permutation_importance_finds_the_feature(fitted):
    est, X, Y = fitted
    keep = Y["price"].notna().to_numpy()
    result = permutation_importance(
        est.task_view("price"), X[keep], Y["price"][keep], n_repeats=3, random_state=0
    )
    assert result.importances_mean.argmax() == 0


@pytest.mark.parametrize(("task", "feature"), [("price", 0), ("sold", 1)])
def test_partial_dependence_rises_with_the_feature(fitted, task, feature):
    est, X, _ = fitted
    average = partial_dependence(est.task_view(task), X, [feature])["average"][0]
    assert average[-1] > average[0]


def test_calibration_of_a_frozen_view(fitted):
    est, X, Y = fitted
    keep = Y["sold"].notna().to_numpy()
    calibrated = CalibratedClassifierCV(FrozenEstimator(est.task_view("sold")))
    calibrated.fit(X[keep], Y["sold"][keep].to_numpy(dtype=object))
    proba = calibrated.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert np.corrcoef(proba[:, 1], est.predict_proba(X)["sold"][:, 1])[0, 1] > 0.9


def test_errors(fitted, make):
    est, X, Y = fitted
    with pytest.raises(ValueError, match=r"Unknown task 'prize'.*Did you mean 'price'"):
        est.task_view("prize")
    with pytest.raises(TypeError, match="view of task 'sold' cannot be fitted by itself"):
        est.task_view("sold").fit(X, Y["sold"])
