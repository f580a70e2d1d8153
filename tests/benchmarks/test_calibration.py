"""Measures of calibration and coverage, against counts by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy_splits import Table
from benchmarks.calibration import calibration_error, coverage, held, report, run_one
from skmtl.tasks import TaskOutput
from tests.benchmarks.test_accuracy import mixed


def test_the_calibration_error_by_hand():
    """Two bins: 0.6 sure and half right, 0.9 sure and all right."""
    shares = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    codes = np.array([0, 0, 0, 1])
    assert calibration_error(codes, shares, n_bins=2) == pytest.approx((0.1 + 0.1) / 2)


def test_shares_that_come_true_have_nearly_no_error():
    random = np.random.default_rng(0)
    shares = random.dirichlet([1, 1, 1], 60_000)
    codes = (shares.cumsum(axis=1) > random.random((60_000, 1))).argmax(axis=1)
    assert calibration_error(codes, shares) < 0.01
    sharper = shares**3 / (shares**3).sum(axis=1, keepdims=True)
    assert calibration_error(codes, sharper) > 0.1


class Promise:
    """Says the same of each row."""

    def __init__(self, table):
        self.tasks_ = [_Task(name, table.classes.get(name, ())) for name in table.tasks]

    def predict_interval(self, X, coverage, *, joint=False):
        return {"size": np.tile([0.0, 10.0 + 90 * joint], (len(X), 1))}

    def predict_set(self, X, coverage, *, joint=False):
        every = np.ones((len(X), 3), bool)
        return {"sold": np.tile([True, False], (len(X), 1)), "body": every}

    def predict_outputs(self, X):
        shares = {"sold": [0.6, 0.4], "body": [0.5, 0.3, 0.2]}
        told = [(task, shares.get(task.name, [0.0])) for task in self.tasks_]
        return [TaskOutput(task, np.tile(row, (len(X), 1))) for task, row in told]

    def _reaches(self, coverage, joint):
        return {"sold": np.array([0.39]), "body": np.array([0.75])}


class _Task:
    def __init__(self, name, classes):
        self.name, self.classes, self.has_classes = name, list(classes), len(classes) > 0


def test_coverage_by_hand():
    table = mixed()
    size, sold = table.Y["size"].to_numpy(), table.Y["sold"]
    found = held(Promise(table), table, joint=False)
    assert found["size"].mean() == ((size >= 0) & (size <= 10)).mean()
    assert found["sold"].isna().sum() == 20
    assert found["sold"].mean() == (sold.dropna() == "no").mean()
    assert found["body"].mean() == 1
    told = coverage(Promise(table), table, table)
    assert told["intervals"] == found["size"].mean()
    assert told["sets"] == pytest.approx((found["sold"].mean() + 1) / 2)
    of_bodies = (table.Y["body"] != table.classes["body"][2]).mean()
    assert told["threshold"] == pytest.approx(of_bodies / 2)  # of "sold" no class is likely enough
    complete = sold.notna().to_numpy()
    inside = (size[complete] >= 0) & (size[complete] <= 100) & (sold[complete] == "no")
    assert told["joint"] == pytest.approx(inside.mean())
    assert told["size"] == 2.0
    low, high = np.quantile(size, [0.05, 0.95])
    assert told["width"] == pytest.approx(10 / (high - low))


def test_a_fit_is_measured_and_reported(monkeypatch):
    table = mixed()
    row = run_one(table, "random", 0)
    assert row.status == "ok"
    assert 0.7 < row.intervals <= 1
    assert row.ece_temperature != row.ece_default
    text = "\n".join(report(pd.DataFrame([vars(row)]), [0.0]))
    assert "| mixed | random |" in text
    for names in (["sold", "body"], ["size"]):  # which have no intervals, and no sets
        kinds = {name: table.tasks[name] for name in names}
        alone = run_one(Table.make("alone", table.X, table.Y[names], kinds), "random", 0)
        assert alone.status == "ok"
        assert np.isnan(alone.intervals) == ("size" not in names)
        assert np.isnan(alone.sets) == ("sold" not in names)
    broken = Table.make("broken", table.X, table.Y[["size"]], {"size": "nonsense"})
    failed = run_one(broken, "random", 0)
    assert "nonsense" in failed.status
    assert "nonsense" in "\n".join(report(pd.DataFrame([vars(row), vars(failed)]), [0.0]))
