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


def test_classes_of_partial_fit_by_name_by_order_and_alone():
    words = pd.DataFrame({"a": ["x", "y"] * 5, "n": np.arange(10.0), "b": ["u", "v"] * 5})
    features = np.arange(10.0)[:, None]

    def classes(given, columns):
        est = MultiTaskNetClassifierRegressor(random_state=0)
        found = est.partial_fit(features, words[columns], classes=given).classes_
        return {name: labels.tolist() for name, labels in found.items()}

    both, three = [["x", "y", "z"], ["u", "v", "w"]], ["a", "n", "b"]
    expected = dict(zip("ab", both, strict=True))
    for given in (both, tuple(both), [both[0], None, both[1]], expected):
        assert classes(given, three) == expected
    assert classes([both[0]], ["a", "n"]) == {"a": both[0]}
    assert classes(both[0], ["a"]) == {"a": both[0]}
    with pytest.raises(ValueError, match=r"one entry for each of the class tasks \['a', 'b'\]"):
        classes([both[0]], three)


def test_weights_of_validation_rows_need_the_rows():
    with pytest.raises(ValueError, match="Found it without X_val"):
        MultiTaskNetClassifierRegressor().fit(X, Y, sample_weight_val=np.ones(3))


@pytest.mark.parametrize("name", [True, False, 0, ("a", 1)], ids=str)
def test_a_column_may_be_called_anything(name):
    frame = pd.DataFrame({"a": np.arange(40.0)})
    Y = pd.concat([pd.Series(frame["a"] % 2 > 0, name=name), frame["a"].rename("other")], axis=1)
    est = MultiTaskNetClassifierRegressor(max_epochs=2, random_state=0).fit(frame, Y)
    assert est.predict(frame).columns.tolist() == [name, "other"]
