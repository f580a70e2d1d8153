"""Sample weights and class weights as one weight per labelled cell."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from skmtl import MultiTaskNetClassifier
from skmtl.estimators._weights import cell_weights, check_sample_weight
from skmtl.tasks import TargetEncoder, Task, spread_sample_weight


@pytest.fixture
def encoded():
    Y = pd.DataFrame({"price": [1.5, None, 2.5, 3.5], "sold": ["no", "no", None, "yes"]})
    encoder = TargetEncoder().fit(Y)
    return encoder.transform(Y), encoder


def test_by_hand(encoded):
    targets, encoder = encoded
    rows = check_sample_weight([1, 1, 2, 3], 4, encoder.tasks_)
    # Labelled: price 1, 2, 3 (mean 2), sold 1, 1, 3 (mean 5/3).
    expected = [[0.5, 0.6], [0, 0.6], [1, 0], [1.5, 1.8]]
    np.testing.assert_allclose(cell_weights(rows, None, targets, encoder), expected)


def test_balanced_is_scikit_learns(encoded):
    targets, encoder = encoded
    rows = check_sample_weight(None, 4, encoder.tasks_)
    weights = cell_weights(rows, "balanced", targets, encoder)[:, 1]
    expected = compute_sample_weight("balanced", ["no", "no", "yes"])
    np.testing.assert_allclose(weights[[0, 1, 3]], expected / expected.mean())
    assert weights[2] == 0


def test_a_class_of_weight_0_is_hidden(encoded):
    targets, encoder = encoded
    rows = check_sample_weight(None, 4, encoder.tasks_)
    weights = cell_weights(rows, {"sold": {"no": 0}}, targets, encoder)
    np.testing.assert_array_equal(weights[:, 1], [0, 0, 0, 1])


def test_columns_of_a_frame_are_found_by_name(encoded):
    _, encoder = encoded
    frame = pd.DataFrame({"sold": [1, 2, 3, 4], "price": [5, 6, 7, 8]})
    np.testing.assert_array_equal(
        check_sample_weight(frame, 4, encoder.tasks_), frame[["price", "sold"]]
    )


def test_unknown_word(encoded):
    targets, encoder = encoded
    with pytest.raises(ValueError, match="must be None, 'balanced' or a mapping"):
        cell_weights(np.ones((4, 2)), "balance", targets, encoder)


def test_balanced_evens_out_each_column_of_a_multilabel_task():
    Y = pd.DataFrame({"a": [0, 0, 0, 1], "b": [1, 1, np.nan, 0]})
    encoder = TargetEncoder([Task("tags", "multilabel", columns=["a", "b"])]).fit(Y)
    rows = check_sample_weight(None, 4, encoder.tasks_)
    weights = cell_weights(rows, "balanced", encoder.transform(Y), encoder)
    assert weights[3, 0] == pytest.approx(weights[:3, 0].sum())
    assert weights[3, 1] == pytest.approx(weights[:2, 1].sum())
    assert weights[2, 1] == 0


def test_a_masked_weight_is_none():
    weights = np.ma.array(np.ones(3), mask=[True, False, False])
    with pytest.raises(ValueError, match="Found a NaN or infinite weight"):
        spread_sample_weight(weights, 3, (Task("a", "regression"),))


def test_a_class_may_be_called_balanced():
    y = np.array(["balanced", "skewed"] * 10)
    weights = {"balanced": 2.0, "skewed": 1.0}
    est = MultiTaskNetClassifier(class_weight=weights, max_epochs=1)
    est.partial_fit(np.arange(20.0)[:, None], y)
    assert list(est.classes_) == ["balanced", "skewed"]


@pytest.mark.parametrize(
    ("value", "error"), [("balancd", ValueError), (5.0, TypeError), ([1.0, 2.0], TypeError)]
)
def test_the_class_weight_of_a_task_is_checked_as_that_of_all(value, error):
    tasks = TargetEncoder([Task("a", "binary"), Task("b", "binary")])
    Y = pd.DataFrame({"a": list("xyxy"), "b": list("uuvv")})
    tasks.fit(Y)
    rows = check_sample_weight(None, 4, tasks.tasks_)
    with pytest.raises(
        error, match=r"`class_weight` of task 'a' must be .*'balanced' or a mapping"
    ):
        cell_weights(rows, {"a": value}, tasks.transform(Y), tasks)
    alike = cell_weights(rows, {"a": None}, tasks.transform(Y), tasks)
    np.testing.assert_array_equal(alike, cell_weights(rows, None, tasks.transform(Y), tasks))
