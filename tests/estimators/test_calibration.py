"""Temperatures: against logistic regression, and by what a fit makes of them."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skmtl.estimators._calibration import fit_temperatures, with_temperatures
from skmtl.tasks import Targets, Task, TaskOutput

N = 3000


def sure(random, n_classes, temperature):
    """Labels, and probabilities that are too sure by a temperature."""
    logits = random.normal(size=(N, n_classes)) * 1.5
    p = softmax(logits, axis=1)
    codes = (p.cumsum(axis=1) > random.random((N, 1))).argmax(axis=1)
    return codes.astype(float), softmax(logits * temperature, axis=1)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found(n_classes, temperature):
    codes, p = sure(np.random.default_rng(0), n_classes, temperature)
    output = TaskOutput(Task("t", "multiclass", classes=tuple(range(n_classes))), p)
    found = fit_temperatures(
        [output], Targets(codes[:, None], np.full((N, 1), True)), np.ones((N, 1))
    )
    assert found["t"] == pytest.approx(temperature, rel=0.1)
    (after,) = with_temperatures([output], found)
    np.testing.assert_allclose(after.values.sum(axis=1), 1)
    assert log_loss(codes, after.values) <= log_loss(codes, p) + 1e-12


def test_for_two_classes_it_is_a_logistic_regression_of_the_logit():
    random = np.random.default_rng(0)
    codes, p = sure(random, 2, 2.0)
    weights = random.integers(0, 3, (N, 1)).astype(float)
    logit = np.log(p[:, 1] / p[:, 0])[:, None]
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
    slope = model.fit(logit, codes, sample_weight=weights[:, 0]).coef_[0, 0]
    output = TaskOutput(Task("t", "binary", classes=(0, 1)), p)
    found = fit_temperatures([output], Targets(codes[:, None], weights > 0), weights)
    assert found["t"] == pytest.approx(1 / slope, rel=1e-4)


def test_labels_of_a_multilabel_task_have_one_temperature():
    random = np.random.default_rng(0)
    drawn = [sure(random, 2, 2.5) for _ in range(3)]
    values = np.column_stack([p[:, 1] for _, p in drawn])
    codes = np.column_stack([c for c, _ in drawn])
    mask = random.random((N, 3)) < 0.7
    task = Task("t", "multilabel", columns=("a", "b", "c"), classes=(0, 1))
    output = TaskOutput(task, values)
    found = fit_temperatures([output], Targets(codes, mask), mask.astype(float))
    assert found["t"] == pytest.approx(2.5, rel=0.1)
    (after,) = with_temperatures([output], found)
    logits = np.log(np.stack([1 - values, values], axis=2)) / found["t"]
    np.testing.assert_allclose(np.log(after.values), log_softmax(logits, axis=2)[..., 1], atol=1e-9)


def test_nothing_to_judge_by_is_a_temperature_of_one():
    p = np.random.default_rng(0).dirichlet([1, 1], N)
    output = TaskOutput(Task("t", "binary", classes=(0, 1)), p)
    codes = np.zeros((N, 1))
    for mask in (np.full((N, 1), True), np.full((N, 1), False)):
        assert fit_temperatures([output], Targets(codes, mask), mask * 1.0) == {"t": 1.0}
    (after,) = with_temperatures([output], {"t": 1.0})
    assert after.values is p


@pytest.mark.parametrize("params", [{"n_members": 4}, {"n_members": 1, "sharing": "auto"}])
def test_calibration_in_a_fit(table, make, params):
    X, Y = table
    plain = make(early_stopping=True, **params).fit(X, Y)
    calibrated = make(early_stopping=True, calibration="temperature", **params).fit(X, Y)
    assert set(calibrated._temperatures) == {"sold", "kind"}
    for before, after in zip(plain.predict_outputs(X), calibrated.predict_outputs(X), strict=True):
        temperature = calibrated._temperatures.get(before.task.name)
        if temperature is None:
            np.testing.assert_array_equal(before.values, after.values)
        else:
            expected = before.values ** (1 / temperature)
            expected /= expected.sum(axis=1, keepdims=True)
            np.testing.assert_allclose(after.values, expected, rtol=1e-9)
    np.testing.assert_array_equal(plain.predict(X)["sold"], calibrated.predict(X)["sold"])


def test_calibration_needs_held_out_rows(table, make):
    X, Y = table
    est = make(early_stopping=False, calibration="temperature")
    with pytest.raises(ValueError, match="held out none"):
        est.fit(X, Y)
    assert not hasattr(est, "net_")
