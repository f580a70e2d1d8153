import numpy as np
import pandas as pd
import pytest

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators._preparing import Given, Memo, prepare

X = pd.DataFrame({"a": np.arange(40.0), "b": np.tile([0.0, 1.0], 20)})
Y = pd.DataFrame({"number": np.arange(40.0), "word": np.tile(["x", "y"], 20)})


def prepared(memo, **params):
    params = {"random_state": 0, **params}
    estimator = MultiTaskNetClassifierRegressor(**params)
    return estimator, prepare(estimator, Given(X, Y), memo)


def test_once_computes_once():
    memo, calls = Memo(), []
    for _ in range(2):
        assert memo.once("key", lambda: calls.append(1) or "made") == "made"
    assert memo.once("other", lambda: None) is None
    assert (calls, len(memo)) == ([1], 2)


@pytest.mark.parametrize("params", [{"lr": 0.1}, {"sharing": "mmoe"}, {"loss_weights": "dwa"}])
def test_candidates_that_prepare_the_same_share_rows_and_what_is_learnt(params):
    memo = Memo()
    one, rows = prepared(memo)
    other, theirs = prepared(memo, **params)
    assert theirs.train is rows.train
    assert other._preprocess is one._preprocess
    assert other.tasks_ == one.tasks_
    assert other.feature_names_in_ is one.feature_names_in_
    assert theirs.seeds is not rows.seeds


@pytest.mark.parametrize(
    "params",
    [
        {"random_state": 1},
        {"class_weight": "balanced"},
        {"n_members": 4},
        {"preprocess": None, "tasks": {"word": "multiclass"}},
        {"early_stopping": False},
    ],
)
def test_candidates_that_prepare_something_else_share_nothing(params):
    memo = Memo()
    plain = {"preprocess": None} if "preprocess" in params else {}
    _, rows = prepared(memo, **plain)
    _, theirs = prepared(memo, **params)
    assert theirs.train is not rows.train


@pytest.mark.parametrize("random_state", [0, None])
def test_each_fit_draws_for_itself_what_it_would_draw_alone(random_state):
    memo = Memo()
    draws = []
    for _ in range(2):
        _, rows = prepared(memo, random_state=random_state, early_stopping=False)
        draws.append(rows.seeds.draw())
    assert (draws[0] == draws[1]) == (random_state == 0)


def test_rows_that_are_drawn_without_a_seed_are_drawn_anew():
    memo = Memo()
    _, rows = prepared(memo, random_state=None, early_stopping=True)
    _, theirs = prepared(memo, random_state=None, early_stopping=True)
    assert theirs.train is not rows.train


def test_what_comes_after_the_split_is_drawn_as_alone():
    memo = Memo()
    prepared(memo, early_stopping=True)[1].seeds.draw()
    _, second = prepared(memo, early_stopping=True)
    _, alone = prepared(Memo(), early_stopping=True)
    assert second.seeds.draw() == alone.seeds.draw()
