import numpy as np
import pytest

from skmtl.tasks import Task, TaskOutput

KIND = Task("kind", "multiclass", classes=["a", "b", "c"])
BOX = Task("box", "regression", columns=["x", "y"])


def test_most_probable_class_is_predicted():
    output = TaskOutput(KIND, np.array([[0.2, 0.5, 0.3], [0.6, 0.4, 0.0]]))
    assert output.predicted.tolist() == [1, 0]
    assert output.is_known


def test_numbers_are_predicted_as_they_are():
    values = np.array([[1.5, -2.0]])
    output = TaskOutput(BOX, values)
    assert output.predicted is values
    assert output.is_known


def test_class_task_without_classes():
    output = TaskOutput(Task("void", "binary"), np.empty((3, 0)))
    assert output.predicted.tolist() == [0, 0, 0]
    assert not output.is_known


@pytest.mark.parametrize("task", [KIND, BOX])
def test_task_without_a_label_is_not_known(task):
    assert not TaskOutput(task, np.full((2, 3), np.nan)).is_known


def test_the_middle_quantile_is_predicted():
    output = TaskOutput(Task("q", "quantile"), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert output.predicted.tolist() == [[2.0], [5.0]]


def test_labels_of_more_than_one_half_are_predicted():
    tags = Task("t", "multilabel", columns=["a", "b"], classes=[0, 1])
    output = TaskOutput(tags, np.array([[0.2, 0.7], [0.5, 0.51]]))
    assert output.predicted.tolist() == [[0, 1], [0, 1]]
    assert not TaskOutput(tags, np.full((2, 2), np.nan)).is_known
