"""What scikit-learn's scorers see of a task."""

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    get_scorer,
    roc_auc_score,
)

from skmtl.metrics._repeaters import repeater_of
from skmtl.tasks import Task, TaskOutput

NAMES = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}


def tags(n):
    return Task("t", "multilabel", columns=[f"c{i}" for i in range(n)], classes=[0, 1])


@pytest.mark.parametrize("n_columns", [1, 2, 3])
def test_labels_in_columns(n_columns):
    rng = np.random.default_rng(0)
    y, p = rng.integers(2, size=(40, n_columns)), rng.random((40, n_columns))
    y, p_flat = (y, p) if n_columns > 1 else (y[:, 0], p[:, 0])
    view = repeater_of(TaskOutput(tags(n_columns), p), y)
    assert is_classifier(view)
    X = np.zeros((40, 1))
    for name, metric in NAMES.items():
        assert get_scorer(name)(view, X, y) == pytest.approx(metric(y, p_flat))
    assert get_scorer("accuracy")(view, X, y) == accuracy_score(y, p_flat > 0.5)
    expected = f1_score(y, (p_flat > 0.5).astype(int), average="macro")
    assert get_scorer("f1_macro")(view, X, y) == pytest.approx(expected)


def test_quantiles_are_judged_by_the_middle_one():
    output = TaskOutput(Task("q", "quantile"), np.array([[1.0, 2, 3], [2, 4, 5]]))
    view = repeater_of(output, np.array([2.0, 3.0]))
    assert is_regressor(view)
    assert view.predict(None).tolist() == [2.0, 4.0]


def test_classes_that_training_never_saw_have_probability_0():
    kind = Task("k", "multiclass", classes=["a", "b"])
    view = repeater_of(TaskOutput(kind, np.array([[0.3, 0.7]])), np.array([2]))
    assert view.classes_.tolist() == [0, 1, 2]
    assert view.predict_proba(None).tolist() == [[0.3, 0.7, 0.0]]
