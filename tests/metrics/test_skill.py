"""Skill scores against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import d2_log_loss_score, r2_score

from skmtl.metrics import skill_score
from skmtl.tasks import Task, TaskOutput

NUMBER = Task("price", "regression")
CLASSES = Task("kind", "multiclass", classes=["a", "b", "c"])


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
    ],
)
def test_undefined_is_nan(output, y):
    assert np.isnan(skill_score(output, y))
