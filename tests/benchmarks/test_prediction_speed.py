import json

import pytest

from benchmarks import prediction_speed
from benchmarks.fit_variants import Job
from benchmarks.prediction_speed import DEFAULT, LARGE_FIT, ONE, PLAIN, THEIRS, _fresh


@pytest.fixture(scope="module")
def fitted():
    job = prediction_speed.regressions()
    return prediction_speed.models(Job(job.X[:300], job.Y[:300], 10, 0, 0))


def test_all_models_predict_the_same_targets(fitted):
    X = prediction_speed.regressions().X[:5]
    assert {model.predict(X).shape for model in fitted.values()} == {(5, 10)}
    assert fitted[PLAIN].n_members_ == fitted[ONE].n_members_ == 1
    assert fitted[DEFAULT].n_members_ == 8


def test_each_model_has_a_row_for_each_number_of_rows(fitted, monkeypatch):
    measured = iter(range(1, 1000))
    monkeypatch.setattr(prediction_speed, "seconds_of", lambda *_: lambda: float(next(measured)))
    few = prediction_speed.small_table(fitted, 2)
    assert all(few.count(f"| {name} |") == 2 for name in (THEIRS, PLAIN, ONE, DEFAULT))
    many = prediction_speed.large_table(fitted, 2)
    assert "| module call, float32 |" in many
    assert "| module call, float64 |" in many


def test_each_frame_has_a_row_for_each_model(monkeypatch):
    measured = iter(range(1, 1000))
    monkeypatch.setattr(prediction_speed, "seconds_of", lambda *_: lambda: float(next(measured)))
    told = prediction_speed.frame_table(2)
    assert all(told.count(f"| {name} |") == 2 for name in (ONE, DEFAULT))
    assert told.count(THEIRS) == 3  # with the head of the column
    assert f"| {THEIRS} in a Pipeline |" in told


def test_features_as_they_are_are_not_copied():
    params = {"n_members": 1, "preprocess": None, "early_stopping": False}
    in_fit, with_prediction, _ = json.loads(_fresh(LARGE_FIT, "300000", "100", json.dumps(params)))
    assert 0 < in_fit <= with_prediction < 1
