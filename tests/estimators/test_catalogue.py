"""On every real set of the catalogue the default fits, predicts, and learns what a forest learns.

Each set is cut to 400 rows with a label, half of them to learn from, and 20 tasks where it has more
than 40: enough to find out whether the defaults fail on a kind of table, too little to say how
good they are.  `benchmarks.accuracy` says that.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy_models import Ours, Plain, errors_of
from benchmarks.accuracy_peers import LIBRARIES
from benchmarks.accuracy_splits import Table
from benchmarks.quality import catalog
from skmtl import MultiTaskNetClassifierRegressor

CATALOG = Path(__file__).resolve().parents[3] / "shared" / "data" / "catalog.json"
#: Without the folder one test is left, which the fixture skips with the reason.
NAMES = (
    [e["name"] for e in json.loads(CATALOG.read_text())["datasets"]] if CATALOG.exists() else ["-"]
)

pytestmark = pytest.mark.slow

MOST_ROWS = 400
MANY_TASKS, FEWER_TASKS = 40, 20
LEARNT = (
    0.95  # error of a forest, relative to the constant's, below which there is something to learn
)


def two_halves(table):
    """Return random rows to learn from, and as many to test, with the tasks that have most labels."""
    tasks = list(table.tasks)
    if len(tasks) > MANY_TASKS:
        kept = table.Y.notna().sum().nlargest(FEWER_TASKS).index
        tasks = [task for task in tasks if task in kept]
        table = table.only(tasks)
    random = np.random.default_rng(zlib.crc32(table.name.encode()))
    rows = random.permutation(np.flatnonzero(table.Y.notna().any(axis=1)))[:MOST_ROWS]
    half = len(rows) // 2
    return table.take(rows[:half]), table.take(rows[half:])


def mean_error(model, known, judged):
    """Return the mean over the tasks that have labels enough to judge by; NaN if none has."""
    errors = np.array(errors_of(known, judged, model.predict(judged.X)))
    scored = errors[~np.isnan(errors)]
    return scored.mean() if len(scored) else np.nan


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # of tasks, not of sets
@pytest.mark.parametrize("name", NAMES)
def test_the_default_learns_where_a_forest_does(shared_data, name):
    known, judged = two_halves(Table.load(shared_data, catalog(shared_data)[name]))
    ours = Ours(MultiTaskNetClassifierRegressor(known.tasks, random_state=0)).fit(known)

    predicted = ours.estimator.predict(judged.X)
    assert predicted.shape == judged.Y.shape
    assert list(predicted) == list(judged.Y)
    assert predicted.notna().all(axis=None)
    for task, values in ours.predict(judged.X).items():
        classes = known.classes.get(task)
        assert values.shape == (len(judged.X), *([] if classes is None else [len(classes)]))
        assert np.isfinite(values).all()
        if classes is not None:
            np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)

    forest = Plain(LIBRARIES["rf"], 0, {"n_estimators": 50}, apart=True).fit(known)
    theirs = mean_error(forest, known, judged)
    if theirs < LEARNT:
        assert mean_error(ours, known, judged) < 1
