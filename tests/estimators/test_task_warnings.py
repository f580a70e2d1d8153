"""Tasks that a fit did not learn, or could not judge, are told of."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.model_selection import MultiTaskGridSearchCV
from skmtl.tasks import TaskWarning

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 5))
NOISE = np.random.default_rng(105).normal(size=200)
Y = pd.DataFrame({"price": X[:, 0] * 2 + 0.1 * RANDOM.normal(size=200), "noise": NOISE})
NEVER = "Task 'noise': in no epoch better than the best constant"


def estimator(**params):
    defaults = {"hidden_layer_sizes": (16,), "random_state": 0, "n_iter_no_change": 3}
    return MultiTaskNetClassifierRegressor(**defaults | params)


@pytest.mark.parametrize("params", [{}, {"sharing": "independent"}, {"ema_decay": 0.0}])
def test_a_task_that_is_noise(params):
    with pytest.warns(TaskWarning, match=NEVER) as caught:
        est = estimator(**params).fit(X, Y)
    assert len(caught) == 1
    assert "'price'" not in str(caught[0].message)
    assert est.net_.stops_
    lowest = est.history_["valid_loss_noise"].min()
    assert lowest >= est.net_.stopping_.score.null[1]


def test_a_task_of_many_classes_that_is_noise():
    words = Y.assign(noise=np.where(NOISE > 0, "yes", "no"))
    with pytest.warns(TaskWarning, match=NEVER):
        estimator().fit(X, words)


def test_many_tasks_are_told_of_at_once():
    noise = pd.DataFrame(dict.fromkeys(range(9), NOISE))
    with pytest.warns(
        TaskWarning, match=r"[6-9] tasks, '0', '1', '2', '3', '4', \.\.\.: in no epoch"
    ) as caught:
        estimator().fit(X, noise)
    assert len(caught) == 1


def test_candidates_are_told_of_once():
    with pytest.warns(TaskWarning, match=NEVER) as caught:
        estimator(sharing="auto").fit(X, Y)
    assert len(caught) == 1


def test_searches_tell_too():
    with pytest.warns(TaskWarning, match=NEVER):
        MultiTaskGridSearchCV(estimator(), {"lr": [0.01, 0.02]}, cv=KFold(2)).fit(X, Y)


def test_what_a_fit_says_nothing_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator().fit(X, Y[["price"]])
        estimator(max_epochs=2).fit(X, Y)  # it did not get so far
        estimator(early_stopping=False, max_epochs=20).fit(X, Y)  # nothing was held out
        estimator(loss_weights={"price": 1.0, "noise": 0.0}).fit(X, Y)  # it was not to be learned
        alike = {"noise": "regression"}
        estimator(tasks=alike).fit(X, Y.assign(noise=3.0))  # there is nothing to learn


def test_a_task_without_a_held_out_label():
    val = Y[:50].assign(noise=np.nan)
    with pytest.warns(TaskWarning, match="Task 'noise': not judged, for want of a label") as caught:
        estimator().fit(X[50:], Y[50:], X_val=X[:50], y_val=val)
    assert len(caught) == 1


def test_the_estimator_is_fitted_where_warnings_are_errors():
    est = estimator()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TaskWarning):
            est.fit(X, Y)
    assert np.isfinite(est.predict(X)["price"]).all()
