import numpy as np

from benchmarks import search_speed
from benchmarks.fit_variants import Job
from benchmarks.search_speed import OURS, THEIRS, WAYS, search, tables


def test_both_searches_find_the_same():
    job = Job.make(10, n=60)
    ours, theirs = (search(way, job, 32, 2) for way in (OURS, THEIRS))
    assert set(ours.plan_["how"]) == {"stacked"}
    assert ours.plan_["n_fits"].sum() == search_speed.N_FITS
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-3
    )


def test_the_report_has_a_row_for_each_search_and_each_goal(monkeypatch):
    measured = iter(range(1, 1000))
    monkeypatch.setattr(search_speed, "seconds_of", lambda *_: lambda: float(next(measured)))
    first, goals = tables([500], 1)
    assert first.count("\n| 500") == len(search_speed.BATCHES)
    assert all(way in first for way in WAYS)
    assert goals.count("| at least") == 8  # none for skorch at the largest batch
