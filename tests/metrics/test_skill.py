"""Skill scores against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import (
    d2_log_loss_score,
    d2_pinball_score,
    d2_tweedie_score,
    log_loss,
    mean_pinball_loss,
    r2_score,
)

from skmtl.metrics import skill_score
from skmtl.tasks import Task, TaskOutput

NUMBER = Task("price", "regression")
CLASSES = Task("kind", "multiclass", classes=["a", "b", "c"])
COUNT = Task("visits", "count")
TAGS = Task("tags", "multilabel", columns=["a", "b", "c"], classes=[0, 1])
GRADE = Task("grade", "ordinal", classes=["low", "mid", "high"])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_is_r2(rng, weighted):
    y, predicted = rng.normal(size=(2, 30, 1))
    weight = rng.random(30) if weighted else None
    expected = r2_score(y, predicted, sample_weight=weight)
    assert skill_score(TaskOutput(NUMBER, predicted), y[:, 0], weight) == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_are_d2_log_loss(rng, weighted):
    codes = rng.integers(3, size=40)
    proba = rng.dirichlet(np.ones(3), size=40)
    weight = rng.random(40) if weighted else None
    expected = d2_log_loss_score(codes, proba, sample_weight=weight, labels=[0, 1, 2])
    assert skill_score(TaskOutput(CLASSES, proba), codes, weight) == pytest.approx(expected)


def test_a_constant_that_knows_the_shares_has_skill_0():
    codes = np.array([0, 0, 1, 2])
    proba = np.tile([0.5, 0.25, 0.25], (4, 1))
    assert skill_score(TaskOutput(CLASSES, proba), codes) == pytest.approx(0)
    assert skill_score(TaskOutput(NUMBER, np.full((4, 1), 2.5)), np.arange(1.0, 5)) == 0


def test_a_class_that_training_never_saw_costs_but_does_not_fail():
    codes = np.array([0, 1, 2, 3])
    proba = np.vstack([np.eye(3) * 0.91 + 0.03, [0.4, 0.3, 0.3]])
    known = skill_score(TaskOutput(CLASSES, proba[:3]), codes[:3])
    assert np.isfinite(skill_score(TaskOutput(CLASSES, proba), codes))
    assert skill_score(TaskOutput(CLASSES, proba), codes) < known


@pytest.mark.parametrize(
    ("output", "y"),
    [
        (TaskOutput(NUMBER, np.zeros((1, 1))), np.array([1.0])),
        (TaskOutput(NUMBER, np.zeros((3, 1))), np.ones(3)),
        (TaskOutput(CLASSES, np.eye(3)), np.array([1, 1, 1])),
        (TaskOutput(COUNT, np.ones((3, 1))), np.zeros(3)),
        (TaskOutput(COUNT, np.ones((3, 1))), np.full(3, 2.0)),
        (TaskOutput(Task("q", "quantile"), np.ones((3, 3))), np.full(3, 2.0)),
        (TaskOutput(TAGS, np.full((3, 3), 0.5)), np.array([[0, 1, np.nan]] * 3)),
    ],
)
def test_undefined_is_nan(output, y):
    assert np.isnan(skill_score(output, y))


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_d2_poisson_deviance(rng, weighted):
    y = rng.poisson(2.0, size=40).astype(float)
    rates = rng.gamma(2.0, size=(40, 1))
    weight = rng.random(40) if weighted else None
    expected = d2_tweedie_score(y, rates[:, 0], sample_weight=weight, power=1)
    assert skill_score(TaskOutput(COUNT, rates), y, weight) == pytest.approx(expected)
    mean = np.full((40, 1), np.average(y, weights=weight))
    assert skill_score(TaskOutput(COUNT, mean), y, weight) == pytest.approx(0)
    assert skill_score(TaskOutput(COUNT, y[:, None]), y, weight) == pytest.approx(1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("level", [0.2, 0.5])
def test_one_quantile_is_d2_pinball_loss(rng, weighted, level):
    y, predicted = rng.normal(size=(2, 41, 1))
    weight = rng.random(41) if weighted else None
    expected = d2_pinball_score(y, predicted, sample_weight=weight, alpha=level)
    task = Task("q", "quantile", quantiles=[level])
    assert skill_score(TaskOutput(task, predicted), y[:, 0], weight) == pytest.approx(expected)


def test_several_quantiles_share_one_loss(rng):
    y = rng.normal(size=101)
    predicted = np.sort(rng.normal(size=(101, 3)), axis=1)
    task = Task("q", "quantile")
    best = np.quantile(y, task.quantiles, method="inverted_cdf")
    loss, null = (
        sum(mean_pinball_loss(y, p, alpha=a) for a, p in zip(task.quantiles, columns, strict=True))
        for columns in (predicted.T, np.tile(best, (101, 1)).T)
    )
    assert skill_score(TaskOutput(task, predicted), y) == pytest.approx(1 - loss / null)
    constant = TaskOutput(task, np.tile(best, (101, 1)))
    assert skill_score(constant, y) == pytest.approx(0)


def test_ordered_classes_are_d2_log_loss(rng):
    codes = rng.integers(3, size=40)
    proba = rng.dirichlet(np.ones(3), size=40)
    expected = d2_log_loss_score(codes, proba, labels=[0, 1, 2])
    assert skill_score(TaskOutput(GRADE, proba), codes) == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_labels_are_d2_log_loss_over_the_labelled_cells(rng, weighted):
    y = rng.integers(2, size=(50, 3)).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    proba = rng.random((50, 3))
    weight = rng.random(50) if weighted else None
    loss = null = 0.0
    for column, p in zip(y.T, proba.T, strict=True):
        keep = ~np.isnan(column)
        own = None if weight is None else weight[keep]
        share = np.full(keep.sum(), np.average(column[keep], weights=own))
        options = {"sample_weight": own, "normalize": False, "labels": [0, 1]}
        loss += log_loss(column[keep], p[keep], **options)
        null += log_loss(column[keep], share, **options)
    found = skill_score(TaskOutput(TAGS, proba), y, weight)
    assert found == pytest.approx(1 - loss / null)


def test_a_column_with_one_label_counts_without_a_null_loss():
    y = np.array([[0, 0], [1, 0], [0, 0], [1, 0]])
    tags = Task("t", "multilabel", columns=["a", "b"], classes=[0, 1])
    sure = np.column_stack([y[:, 0], np.zeros(4)]).astype(float)
    assert skill_score(TaskOutput(tags, sure), y) == pytest.approx(1)
    half = np.column_stack([y[:, 0], np.full(4, 0.5)]).astype(float)
    assert skill_score(TaskOutput(tags, half), y) == pytest.approx(0)


def test_the_loss_of_training_does_not_change_the_score(rng):
    y, predicted = rng.normal(size=(2, 30, 1))
    robust = Task("price", "regression", loss="absolute")
    assert skill_score(TaskOutput(robust, predicted), y[:, 0]) == skill_score(
        TaskOutput(NUMBER, predicted), y[:, 0]
    )


def test_a_constant_column_of_a_vector_is_left_out(rng):
    """Of it there is nothing to explain, and R2 would be 1 or 0, by the last bit."""
    task = Task("v", "regression", columns=("a", "b"))
    y = np.column_stack([rng.normal(size=50), np.full(50, 5.0)])
    near = np.column_stack([0.9 * y[:, 0], np.full(50, 5 + 1e-6)])
    expected = r2_score(y[:, 0], near[:, 0])
    assert skill_score(TaskOutput(task, near), y) == pytest.approx(expected)
    null = np.column_stack([np.full(50, y[:, 0].mean()), np.full(50, 5.0)])
    assert skill_score(TaskOutput(task, null), y) == pytest.approx(0)
    assert np.isnan(skill_score(TaskOutput(task, y), np.full((50, 2), 5.0)))
