"""Several networks to choose from: ``preset="best"`` and ``sharing="auto"``."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skmtl import MultiTaskNetClassifierRegressor
from skmtl.estimators import _candidates
from skmtl.estimators._blending import select_weights
from skmtl.sharing import Hard
from skmtl.trunks import MLP, TabM


@pytest.fixture(scope="module")
def fitted_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    Y = pd.DataFrame({"a": X[:, 0] + rng.normal(size=150), "b": np.where(X[:, 1] > 0, "u", "v")})
    return X, Y.mask(rng.random(Y.shape) < 0.2)


def small(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 6, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**defaults | params)


def values(est, X):
    return [output.values for output in est.predict_outputs(X)]


def test_each_candidate_is_the_estimator_that_its_parameters_make(fitted_table):
    X, Y = fitted_table
    est = small(preset="best").fit(X, Y)
    embedded = MLP((8,), num_embeddings="piecewise_linear")
    alone = {
        "hard": small(),
        "hard, numbers alone": small(n_bins=0),
        "hard, embeddings": small(trunk=embedded, hidden_layer_sizes=(128, 128), n_bins=0),
        "independent": small(sharing="independent"),
        "independent, numbers alone": small(sharing="independent", n_bins=0),
    }
    assert list(est.candidates_) == list(alone)
    assert list(est.candidate_weights_) == list(alone)
    together = 0
    for name, other in alone.items():
        theirs = values(other.fit(X, Y), X)
        for ours, expected in zip(values(est.candidates_[name], X), theirs, strict=True):
            np.testing.assert_array_equal(ours, expected)
        weights = est.candidate_weights_[name]
        together = together + np.array([w * v[:, 0] for w, v in zip(weights, theirs, strict=True)])
    found = np.array([v[:, 0] for v in values(est, X)])
    np.testing.assert_allclose(found, together, rtol=0, atol=1e-12)
    np.testing.assert_allclose(est.candidate_weights_.sum(axis=1), 1)


def test_net_and_history_are_those_of_the_first(fitted_table):
    est = small(sharing="auto").fit(*fitted_table)
    first = est.candidates_["hard"]
    assert est.net_ is first.net_
    pd.testing.assert_frame_equal(est.history_, first.history_)
    assert repr(est.sharing_) == repr(Hard())


def test_weights_are_chosen_on_rows_that_no_member_learnt_from(fitted_table):
    """A net of its own that leaves out the rows tells nothing of the truth: here labels are noise
    for a net that memorises them, so in-sample weights would be another."""
    X, Y = fitted_table
    est = small(sharing="auto", n_members=3, max_epochs=40).fit(X, Y)
    in_sample = [part.predict_outputs(X) for part in est.candidates_.values()]
    targets = est.encode_targets(Y)
    by_training_rows = select_weights(in_sample, targets, targets.mask.astype(float)).T
    assert np.abs(by_training_rows - est.candidate_weights_.to_numpy()).max() > 0.1


def test_without_held_out_rows_there_is_the_first_alone(fitted_table):
    est = small(sharing="auto", early_stopping=False).fit(*fitted_table)
    assert list(est.candidates_) == ["hard"]
    assert (est.candidate_weights_ == 1).all(axis=None)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"sharing": "auto"}, ["hard", "independent"]),
        ({"sharing": "auto", "n_bins": 0, "preset": "best"}, ["hard", "independent"]),
        (
            {"sharing": "mmoe", "preset": "best"},
            ["mmoe", "mmoe, numbers alone", "mmoe, embeddings"],
        ),
        (
            {
                "sharing": Hard(),
                "preset": "best",
                "trunk": "resnet",
                "hidden_layer_sizes": (128, 128),
            },
            ["Hard()", "Hard(), numbers alone"],
        ),
        (
            {"sharing": Hard(), "preset": "best", "trunk": TabM((8,), k=2)}
            | {"hidden_layer_sizes": (128, 128)},
            ["Hard()", "Hard(), numbers alone"],
        ),
        ({"preset": "best", "preprocess": None}, ["hard", "independent"]),
    ],
)
def test_which_networks_there_are(fitted_table, params, names):
    est = small(**params | {"max_epochs": 1}).fit(*fitted_table)
    assert list(est.candidates_) == names


def test_very_many_numbers_are_not_embedded(fitted_table, monkeypatch):
    monkeypatch.setattr(_candidates, "MOST_EMBEDDED", 1)
    est = small(sharing="mmoe", preset="best", max_epochs=1).fit(*fitted_table)
    assert list(est.candidates_) == ["mmoe", "mmoe, numbers alone"]


def test_a_task_alone_has_nobody_to_share_with(fitted_table):
    X, Y = fitted_table
    est = small(sharing="auto").fit(X, Y[["a"]])
    assert list(est.candidates_) == ["hard"]
    plain = small().fit(X, Y[["a"]])
    np.testing.assert_array_equal(values(est, X)[0], values(plain, X)[0])


@pytest.mark.parametrize("method", ["uncertainty", "cagrad"])
def test_nets_per_task_have_nothing_to_weigh(fitted_table, method):
    est = small(sharing="auto", loss_weights=method).fit(*fitted_table)
    assert est.candidates_["hard"].loss_weights == method
    plain = small(sharing="independent").fit(*fitted_table)
    X = fitted_table[0]
    for ours, theirs in zip(
        values(est.candidates_["independent"], X), values(plain, X), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_presets_choose_the_number_of_networks(fitted_table):
    assert small(preset="fast").fit(*fitted_table).n_members_ == 1
    assert small(preset="fast", n_members=3).fit(*fitted_table).n_members_ == 3
    default = small().fit(*fitted_table)
    assert default.n_members_ == 8
    assert not hasattr(default, "candidates_")


def test_a_fit_without_a_choice_forgets_the_candidates(fitted_table):
    est = small(sharing="auto").fit(*fitted_table)
    est.set_params(sharing="hard").fit(*fitted_table)
    assert not hasattr(est, "candidates_")
    assert not hasattr(est, "candidate_weights_")


def test_sharing_hurts_and_auto_does_not():
    """A task of its own shape, for which a small trunk that twelve others use has no room."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 6))
    Y = pd.DataFrame({f"other_{i}": np.sin(3 * X[:, i % 6] * (i + 1) / 4) for i in range(12)})
    Y["own"] = X[:, 0] * X[:, 1]
    train, test = slice(0, 600), slice(600, None)

    def error(sharing):
        est = small(sharing=sharing, hidden_layer_sizes=(6, 6), max_epochs=60, n_members=3)
        est.fit(X[train], Y[train])
        return np.mean((est.predict(X[test])["own"].to_numpy() - Y["own"][test].to_numpy()) ** 2)

    hard, own, auto = error("hard"), error("independent"), error("auto")
    assert own < 0.9 * hard
    assert auto < 1.2 * own


def test_intervals_go_by_the_average(fitted_table):
    X, Y = fitted_table
    est = small(preset="best").fit(X, Y)
    assert est.candidate_weights_.loc["a"].max() < 1
    ends = est.predict_interval(X, 0.8)["a"]
    np.testing.assert_allclose(ends.mean(axis=1), values(est, X)[0][:, 0], atol=1e-9)
    parts = [part.predict_interval(X, 0.8)["a"] for part in est.candidates_.values()]
    assert all(not np.allclose(np.ptp(ends, axis=1), np.ptp(p, axis=1)) for p in parts)


@pytest.mark.parametrize("params", [{"sharing": "auto"}, {"preset": "best"}], ids=str)
def test_no_choice_in_partial_and_warm_fits(fitted_table, params):
    X, Y = fitted_table
    with pytest.raises(ValueError, match="inner validation"):
        small(**params).partial_fit(X, Y)
    with pytest.raises(ValueError, match="inner validation"):
        small(**params, warm_start=True).fit(X, Y)


def test_it_is_an_estimator_like_any_other(fitted_table):
    X, Y = fitted_table
    est = small(preset="best", max_epochs=2).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(est))
    for ours, theirs in zip(values(loaded, X), values(est, X), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert clone(est).get_params()["preset"] == "best"
    search = GridSearchCV(small(max_epochs=2), {"sharing": ["hard", "auto"]}, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"preset": "quick"}, "Parameter `preset` must be 'fast', 'default' or 'best'"),
        ({"calibration": "platt"}, "Parameter `calibration` must be 'temperature' or None"),
        ({"n_bins": 1}, "Parameter `n_bins` must be"),
    ],
)
def test_wrong_words(fitted_table, params, message):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(*fitted_table)
