"""One task as a scikit-learn estimator, in scikit-learn's own tools."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import get_scorer

from skmtl import MultiTaskNetClassifier, MultiTaskNetClassifierRegressor, Task
from skmtl.estimators._outputs import compute_spreads


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


RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(240, 3))
SCORES = FEATURES[:, 0] + 0.3 * RNG.normal(size=240)
LEVELS = np.array(["low", "mid", "top"])[np.digitize(SCORES, [-0.5, 0.5])]
ANSWERS = np.where(SCORES > 0, "yes", "no")
#: Labels that are not in rising order for the task: by a category type, as declared, by their order.
UNSORTED = {
    "category": (pd.Categorical(LEVELS, ["top", "low", "mid"]), None),
    "ordered": (pd.Categorical(ANSWERS, ["yes", "no"], ordered=True), None),
    "declared": (ANSWERS, Task("g", classes=["yes", "no"])),
    "ordinal": (np.char.add(LEVELS, "x"), Task("g", "ordinal", classes=["topx", "midx", "lowx"])),
}


def net(cls, task, **params):
    tasks = None if task is None else [task]
    return cls(tasks, n_members=1, max_epochs=30, random_state=0, **params)


@pytest.mark.parametrize("name", UNSORTED)
def test_classes_are_in_rising_order_for_scikit_learn(name):
    labels, task = UNSORTED[name]
    Y = pd.DataFrame({"g": labels, "z": SCORES})
    est = net(MultiTaskNetClassifierRegressor, task).fit(FEATURES, Y)
    view, y = est.task_view("g"), np.asarray(labels, dtype=object)
    assert list(view.classes_) == sorted(set(y))
    assert list(est.classes_["g"]) != sorted(set(y))
    proba, by_task = view.predict_proba(FEATURES), est.predict_proba(FEATURES)["g"]
    of_label = dict(zip(est.classes_["g"], by_task.T, strict=True))
    for label, column in zip(view.classes_, proba.T, strict=True):
        np.testing.assert_array_equal(column, of_label[label])
    truth = np.array([of_label[label][row] for row, label in enumerate(y)])
    assert get_scorer("neg_log_loss")(view, FEATURES, y) == pytest.approx(np.log(truth).mean())
    np.testing.assert_array_equal(view.predict(FEATURES), np.asarray(est.predict(FEATURES)["g"]))
    assert view.score(FEATURES, y) > 0.8
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(FrozenEstimator(view), method=method)
        assert calibrated.fit(FEATURES, y).score(FEATURES, y) > 0.8


@pytest.mark.parametrize("name", UNSORTED)
def test_a_classifier_of_one_target_has_them_in_rising_order(name):
    labels, task = UNSORTED[name]
    y = pd.Series(labels, name="g")
    est = net(MultiTaskNetClassifier, task and replace(task, columns=["g"]), bagging=None)
    est.set_params(early_stopping=True, n_members=2).fit(FEATURES, y)
    assert list(est.classes_) == sorted(set(y))
    proba = est.predict_proba(FEATURES)
    predicted = np.asarray(est.predict(FEATURES), dtype=object)
    np.testing.assert_array_equal(est.classes_[proba.argmax(axis=1)], predicted)
    metric = "roc_auc" if len(set(y)) == 2 else "roc_auc_ovr"
    assert get_scorer(metric)(est, FEATURES, y.astype(object)) > 0.9
    sets = est.predict_set(FEATURES)
    assert sets[np.arange(240), proba.argmax(axis=1)].all()
    _, std = est.predict(FEATURES, return_std=True)
    assert std.shape == proba.shape
    if len(set(y)) > 2:  # the spread of a class that is never likely is small
        order = np.argsort(np.asarray(est.tasks_[0].classes, dtype=object))
        outputs, spreads = compute_spreads(est, est._read(FEATURES))
        np.testing.assert_array_equal(proba, outputs[0].values[:, order])
        np.testing.assert_array_equal(std, spreads[0][:, order])


def test_true_and_false_among_objects_are_booleans_for_scikit_learn():
    t = pd.Series(SCORES > 0, dtype=object)
    t[::5] = None
    est = net(MultiTaskNetClassifierRegressor, None)
    est.fit(FEATURES, pd.DataFrame({"t": t, "z": SCORES}))
    view, keep = est.task_view("t"), t.notna().to_numpy()
    X, y = FEATURES[keep], t[keep].astype(bool)
    assert view.classes_.dtype == view.predict(X).dtype == bool
    assert view.score(X, y) > 0.8
    assert CalibratedClassifierCV(FrozenEstimator(view)).fit(X, y).score(X, y) > 0.8
    assert partial_dependence(view, X, [0], grid_resolution=3)["average"].shape == (1, 3)
    assert get_scorer("roc_auc")(view, X, y) > 0.9
    assert est.predict(FEATURES)["t"].dtype == object
