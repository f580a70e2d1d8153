"""Which rows train and which judge."""

import tracemalloc
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.estimators import _rows
from skmtl.estimators._rows import Rows, choose_rows, split_rows
from skmtl.features import FeatureWarning
from skmtl.layers import Seeds
from skmtl.tasks import TargetEncoder, TaskWarning


def rows_of(Y):
    encoder = TargetEncoder().fit(Y)
    targets = encoder.transform(Y)
    return Rows(np.zeros((len(Y), 1)), targets, targets.mask * 1.0, np.ones(len(Y))), encoder


def test_validation_rows_keep_the_shares():
    Y = pd.DataFrame({"rare": ["hit"] * 10 + ["none"] * 90})
    rows, encoder = rows_of(Y)
    train, valid = split_rows(rows, encoder.tasks_, 0.2, Seeds.spawn(np.random.RandomState(0)))
    assert (len(train), len(valid)) == (80, 20)
    assert (valid.targets.values == 0).sum() == 2


def test_an_empty_part_is_an_error():
    est = MultiTaskNetClassifierRegressor(
        n_members=1, early_stopping=True, validation_fraction=0.01
    )
    with pytest.raises(ValueError, match="of 2 labelled rows leaves one part empty"):
        est.fit([[0.0], [1.0]], pd.DataFrame({"a": [1.5, 2.5]}))


def test_labelled_leaves_out_rows_without_a_label():
    rows, _ = rows_of(pd.DataFrame({"a": [1.5, None, 2.5], "b": [0.5, None, None]}))
    assert len(rows.labelled()) == 2
    np.testing.assert_array_equal(rows.labelled().targets.values[:, 0], [1.5, 2.5])


def test_validation_rows_through_the_steps_of_a_pipeline(table, make):
    X, Y = table
    with sklearn.config_context(enable_metadata_routing=True):
        est = make(max_epochs=3).set_fit_request(X_val=True, y_val=True)
        pipe = make_pipeline(StandardScaler(), est, transform_input=["X_val"])
        pipe.fit(X, Y, X_val=X[:40], y_val=Y[:40])
    alone = clone(est).fit(
        pipe[:-1].transform(X), Y, X_val=pipe[:-1].transform(X[:40]), y_val=Y[:40]
    )
    np.testing.assert_allclose(pipe[-1].history_["valid_score"], alone.history_["valid_score"])


def test_a_word_among_the_numbers_of_a_row_that_is_parted_off():
    """All rows say what a column is, and those that train what its means and categories are."""
    X = pd.DataFrame({"a": np.arange(200.0), "b": np.arange(200.0) * 1.5})
    Y = pd.DataFrame({"y": np.arange(200) * 0.5})
    est = MultiTaskNetClassifierRegressor(preset="fast", max_epochs=2, random_state=0)
    rows = _held_out_rows(est, X, Y)
    assert 0 < len(rows) < 100
    X["b"] = X["b"].astype(object)
    X.loc[rows[0], "b"] = "unknown"
    with pytest.warns(FeatureWarning, match=r"not \['unknown'\]"):
        est.fit(X, Y)
    assert "unknown" not in est.preprocess_.categories_.categories_[0]
    assert est.predict(X).shape == (200, 1)


def _held_out_rows(est, X, Y):
    kept = []

    def split(rows, *args):
        parts = split_rows(rows, *args)
        kept.append(parts[1].index)
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "split_rows", split)
        est.fit(X, Y)
    return kept[0]


@pytest.mark.parametrize("container", ["array", "frame"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_fit_holds_one_copy_of_the_features(container, early_stopping, monkeypatch):
    """Rows are parted off by their numbers, and encoded a part of them at a time."""
    monkeypatch.setattr("skmtl.features._encoder._ENTRIES", 1 << 14)
    X = np.random.default_rng(0).standard_normal((40_000, 50)).astype(np.float32)
    params = {"hidden_layer_sizes": (4,), "n_bins": 0, "max_epochs": 1, "n_members": 1}
    est = MultiTaskNetRegressor(**params, early_stopping=early_stopping, random_state=0)
    table = X if container == "array" else pd.DataFrame(X).add_prefix("x")
    est.fit(table[:100], X[:100, 0])  # what is imported or kept once
    tracemalloc.start()
    try:
        est.fit(table, X[:, 0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert X.nbytes < peak < 1.5 * X.nbytes


# ---- groups ------------------------------------------------------------------------------------


@pytest.fixture
def people():
    """Rows of 40 persons, known by their features; what is to be predicted is the person's own."""
    rng = np.random.default_rng(0)

    def draw(n_people):
        person = np.repeat(np.arange(n_people), 8)
        who = rng.normal(size=(n_people, 4))[person]
        X = who + 0.01 * rng.normal(size=who.shape)
        level = rng.normal(size=n_people)[person] + 0.5 * X[:, 0]
        Y = pd.DataFrame({"level": level, "high": np.where(level > 0, "yes", "no")})
        return X, Y.mask(rng.random(Y.shape) < 0.1), person

    return draw(40), draw(200)


def _parts(est, X, Y, groups, **fit_params):
    """Return who learns from each row: (n_members, n_rows), or (1, n_rows) of a split."""
    kept = []

    def choose(*args, **kwargs):
        kept.append(choose_rows(*args, **kwargs))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skmtl.estimators._preparing.choose_rows", choose)
        est.fit(X, Y, groups=groups, **fit_params)
    train, valid, _ = kept[0]
    if train.draws is not None:
        return train.draws, train.groups
    learns = np.repeat([1, 0], [len(train), len(valid)])[None]
    return learns, np.concatenate([train.groups, valid.groups])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"preset": "fast"},
        {"bagging": "bootstrap"},
        {"bagging": None, "n_members": 2},
        {"sharing": "auto"},
        {"trunk": "tabm"},
    ],
    ids=str,
)
def test_whole_groups_are_held_out(people, make, params):
    (X, Y, person), _ = people
    learns, groups = _parts(make(max_epochs=2, **params), X, Y, person)
    for own in learns:
        by_person = [set(own[groups == g]) for g in range(40)]
        assert all(len(found) == 1 for found in by_person)
        n_held_out = sum(found == {0} for found in by_person)
        assert 3 <= n_held_out <= 20


def test_intervals_hold_for_groups_that_were_not_seen(people):
    """Of persons that were seen the network knows all, of others nearly nothing."""
    (X, Y, person), (X_new, Y_new, _) = people

    def covered(groups):
        est = MultiTaskNetClassifierRegressor(random_state=0).fit(X, Y, groups=groups)
        ends, there = est.predict_interval(X_new)["level"], Y_new["level"].notna()
        inside = (ends[:, 0] <= Y_new["level"]) & (Y_new["level"] <= ends[:, 1])
        return inside[there].mean(), est.score(X_new, Y_new)

    by_rows, by_groups = covered(None), covered(person)
    assert by_rows[0] < 0.1
    assert by_groups[0] > 0.7  # 90% is promised, as far as 40 persons can tell
    assert by_groups[1] > by_rows[1]


def test_groups_of_one_row_part_the_rows_as_evenly(table, make):
    X, Y = table
    learns, _ = _parts(make(max_epochs=2), X, Y, np.arange(len(X)))
    assert ((learns == 0).sum(axis=0) == 1).all()
    assert np.ptp((learns == 0).sum(axis=1)) <= 2


def test_several_members_leave_out_the_same_one_of_few_groups(people, make):
    (X, Y, person), _ = people
    learns, groups = _parts(make(max_epochs=2), X, Y, [f"site {p % 3}" for p in person])
    left_out = [np.unique(groups[own == 0]).tolist() for own in learns]
    assert sorted(left_out.count([site]) for site in range(3)) == [2, 3, 3]


@pytest.mark.parametrize("params", [{}, {"bagging": "bootstrap"}, {"n_members": 1}], ids=str)
def test_two_groups_are_enough_and_one_is_not(people, make, params):
    (X, Y, person), _ = people
    est = make(max_epochs=2, **params).fit(X, Y, groups=person % 2)
    ends = est.predict_interval(X)["level"]
    assert np.isfinite(ends).all()
    est.set_params(early_stopping=True)
    with pytest.raises(ValueError, match="whose labels are not all that a task has"):
        est.fit(X, Y, groups=np.zeros(len(X)))
    assert np.array_equal(est.predict_interval(X)["level"], ends)  # nothing was lost
    for early_stopping in ("auto", False):
        est.set_params(early_stopping=early_stopping)
        with (
            nullcontext() if early_stopping is False else pytest.warns(UserWarning, match="1 group")
        ):
            est.fit(X, Y, groups=np.zeros(len(X)))
        assert len(est.history_) == 2
        assert "valid_score" not in est.history_


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"bagging": "bootstrap"},
        {"n_members": 1},
        {"sharing": "independent"},
        {"sharing": "auto"},
    ],
    ids=str,
)
def test_every_member_has_a_label_of_each_task(make, params):
    """Also of one whose labels all lie in one group, which then cannot be held out."""
    rng = np.random.default_rng(0)
    X, group = rng.normal(size=(300, 4)), np.repeat([0, 1, 2], 100)
    Y = pd.DataFrame({"a": X[:, 0], "b": np.where(group == 0, 5 + 2 * X[:, 1], np.nan)})
    est = MultiTaskNetClassifierRegressor(random_state=0, **params)
    with pytest.warns(TaskWarning, match=r"Task 'b': not judged, for want of a label"):
        learns, groups = _parts(est, X, Y, group)
    assert (learns[:, groups == 0] > 0).all()
    assert (learns[:, groups > 0] == 0).any()
    X_new = rng.normal(size=(500, 4))
    assert r2_score(5 + 2 * X_new[:, 1], est.predict(X_new)["b"]) > 0.95
    ends = est.predict_interval(X_new)
    assert np.isinf(ends["b"]).all()
    assert np.isfinite(ends["a"]).all()


def test_a_member_that_leaves_out_most_rows_does_not_hold_back_the_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4))
    y = np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 2]
    X, X_new, y, y_new = X[:1000], X[1000:], y[:1000], y[1000:]
    est = MultiTaskNetRegressor(max_epochs=20, n_iter_no_change=20, random_state=0)
    group = np.r_[np.zeros(930, int), np.arange(70) % 7 + 1]
    by_groups = r2_score(y_new, est.fit(X, y, groups=group).predict(X_new))
    assert by_groups > r2_score(y_new, est.fit(X, y).predict(X_new)) - 0.05


def test_groups_that_do_not_fit_are_errors(people, make):
    (X, Y, person), _ = people
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(X, Y, groups=person[1:])
    with pytest.raises(ValueError, match="Found nan in row 0"):
        make().fit(X, Y, groups=np.where(person == 0, np.nan, person))


def test_groups_whose_rows_have_no_label_do_not_count(people, make):
    (X, Y, person), _ = people
    Y = Y.copy()
    Y.loc[person % 4 == 0] = None
    learns, groups = _parts(make(max_epochs=1), X, Y, person % 4)
    assert set(groups) == {1, 2, 3}
    assert {tuple(set(groups[own == 0])) for own in learns} == {(1,), (2,), (3,)}


def test_a_warm_start_holds_out_the_same_groups(people, make):
    (X, Y, person), _ = people
    est = make(max_epochs=3, warm_start=True)
    first, _ = _parts(est, X, Y, person)
    second, _ = _parts(est, X, Y, person)
    np.testing.assert_array_equal(first, second)


def test_groups_reach_the_fits_of_a_cross_validation(people, make):
    (X, Y, person), _ = people
    params = {"groups": person}
    seen = []

    class Listening(MultiTaskNetClassifierRegressor):
        def _fit(self, given):
            seen.append(given.groups)
            return super()._fit(given)

    est = Listening(**make(max_epochs=1).get_params())
    with sklearn.config_context(enable_metadata_routing=True):
        cross_validate(est, X, Y, cv=GroupKFold(4), params=params, error_score="raise")
        Pipeline([("scale", StandardScaler()), ("net", est)]).fit(X, Y, groups=person)
    assert len(seen) == 5
    assert [len(np.unique(groups)) for groups in seen] == [30, 30, 30, 30, 40]
