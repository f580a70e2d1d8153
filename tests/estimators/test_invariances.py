"""What must not change an answer: the order of rows, tasks and columns, units, names, copies of rows.

Models without hidden layers are compared at their minimum, where the first weights are forgotten.
Networks are compared where the draws are the same; "to rounding" means that sums run in another
order, in float64, and "exactly" means to the last bit.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor, Task
from skmtl.penalties import L2
from tests.estimators.convex import TASKS, fit, made, values

NEW = np.random.default_rng(1).normal(size=(50, 3))
DATA = made()
TO_ROUNDING = {"rtol": 1e-9, "atol": 1e-11}


def at_minimum(X, Y, weights=None, **params):
    """Predictions of the penalised linear models of all tasks."""
    return values(fit(X, Y, weights, **{"tasks": TASKS, "penalty": L2(0.02), **params}), NEW)


def network(**params):
    """A network for all rows at once in float64, of which nothing is left out."""
    whole = {"batch_size": -1, "dtype": "float64", "early_stopping": False}
    small = {"tasks": TASKS, "hidden_layer_sizes": (16,), "max_epochs": 30, "random_state": 0}
    return MultiTaskNetClassifierRegressor(**{**small, **whole, **params})


def default(**params):
    """Members over folds, early stopping, mini-batches, float32: the defaults, but small."""
    return MultiTaskNetClassifierRegressor(
        **{
            "tasks": TASKS,
            "hidden_layer_sizes": (16,),
            "max_epochs": 6,
            "random_state": 0,
            **params,
        }
    )


def assert_same(found, expected, **tolerance):
    assert list(found) == list(expected)
    for name in expected:
        if tolerance:
            scale = np.abs(expected[name]).max()
            np.testing.assert_allclose(
                found[name] / scale, expected[name] / scale, **tolerance, err_msg=name
            )
        else:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def predicted(est, X, Y, sample_weight=None, new=NEW):
    return values(est.fit(X, Y, sample_weight=sample_weight), new)


# ---- rows --------------------------------------------------------------------------------------

ROWS = [{"preprocess": None}, {}, {"n_bins": 8, "loss_weights": "uncertainty"}, {"sharing": "mmoe"}]


@pytest.mark.parametrize("params", ROWS, ids=str)
def test_the_order_of_rows(params):
    order = np.random.default_rng(0).permutation(len(DATA.X))
    shuffled = predicted(network(**params), DATA.X[order], DATA.Y.iloc[order], DATA.weights[order])
    expected = predicted(network(**params), *DATA)
    assert_same(shuffled, expected, **TO_ROUNDING)


@pytest.mark.parametrize("params", ROWS, ids=str)
def test_rows_twice_with_half_the_weight(params):
    twice = np.repeat(np.arange(len(DATA.X)), 2)
    doubled = predicted(
        network(**params), DATA.X[twice], DATA.Y.iloc[twice], DATA.weights[twice] / 2
    )
    assert_same(doubled, predicted(network(**params), *DATA), **TO_ROUNDING)


@pytest.mark.parametrize("params", ROWS, ids=str)
def test_whole_weights_are_repetitions(params):
    counts = np.random.default_rng(0).integers(0, 4, len(DATA.X))
    rows = np.repeat(np.arange(len(DATA.X)), counts)
    weighted = predicted(network(**params), DATA.X, DATA.Y, counts)
    repeated = predicted(network(**params), DATA.X[rows], DATA.Y.iloc[rows])
    assert_same(weighted, repeated, **TO_ROUNDING)


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
def test_the_scale_of_weights_exactly(factor):
    """Only how weights compare counts; a power of two keeps every bit."""
    scaled = predicted(default(), DATA.X, DATA.Y, factor * DATA.weights)
    assert_same(scaled, predicted(default(), *DATA))


def test_the_index_of_frames_exactly():
    X, Y = pd.DataFrame(DATA.X, columns=list("abc")), DATA.Y
    new = pd.DataFrame(NEW, columns=list("abc"))
    expected = predicted(default(), X, Y, new=new)
    odd = np.arange(len(X))[::-1] * 3
    found = predicted(default(), X.set_index(odd), Y.set_index(odd + 7), new=new)
    assert_same(found, expected)


# ---- tasks and columns -------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"sharing": "independent"}, {"normalize_losses": False}], ids=str)  # fmt: skip
def test_the_order_of_tasks_at_the_minimum(params):
    backwards = at_minimum(DATA.X, DATA.Y.iloc[:, ::-1], DATA.weights, **params)
    # The columns of a vector keep the order of its declaration.
    expected = at_minimum(*DATA, **params)
    assert sorted(backwards) == sorted(expected)
    assert list(backwards) != list(expected)
    assert_same({name: backwards[name] for name in expected}, expected, atol=1e-6)


def test_the_order_of_declarations_exactly():
    found = predicted(default(tasks=TASKS[::-1]), *DATA)
    assert_same(found, predicted(default(), *DATA))


def test_the_order_of_feature_columns_at_the_minimum():
    order = [2, 0, 1]
    est = fit(DATA.X[:, order], DATA.Y, DATA.weights, tasks=TASKS, penalty=L2(0.02))
    assert_same(values(est, NEW[:, order]), at_minimum(*DATA), atol=1e-6)


def test_a_task_of_weight_0_at_the_minimum():
    """The others are what they are without its column."""
    idle = {"price": 0.0, "kind": 0.0}
    found = at_minimum(*DATA, loss_weights=idle)
    expected = at_minimum(DATA.X, DATA.Y.drop(columns=list(idle)), DATA.weights)
    assert_same({name: found[name] for name in expected}, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore::skmtl.tasks.TaskWarning")  # the others are noise
@pytest.mark.parametrize("sharing", ["hard", "mmoe", "cross_stitch"])
@pytest.mark.parametrize("stops", [False, True], ids=["all epochs", "early stopping"])
def test_labels_of_a_task_of_weight_0_exactly(sharing, stops):
    """Whatever its numbers are, the others learn the same in a shared trunk, and stop as early.

    With validation rows that are given: rows that are drawn keep the shares of all tasks alike.
    """
    X, Y, weights = DATA
    other = Y.assign(price=-7.0 * Y["price"] ** 2)

    def learned(Y):
        est = default(sharing=sharing, loss_weights={"price": 0.0}, early_stopping=stops, lr=0.1)
        judges = {"X_val": X[110:], "y_val": Y[110:]} if stops else {}
        est.set_params(max_epochs=40 if stops else 6, n_members=2, n_iter_no_change=3)
        est.fit(X[:110], Y[:110], sample_weight=weights[:110], **judges)
        return est.n_iter_, {n: v for n, v in values(est, NEW).items() if n != "price"}

    (n_epochs, found), (expected_epochs, expected) = learned(other), learned(Y)
    assert n_epochs == expected_epochs
    assert not stops or n_epochs < 40
    assert_same(found, expected)


# ---- units and names ---------------------------------------------------------------------------

NUMBERS = [*TASKS, Task("late", "quantile"), Task("size", "regression", loss="huber")]
SCALED = ["price", "width", "height", "visits", "late", "size"]


def numbers():
    random = np.random.default_rng(2)
    more = {name: DATA.X[:, 0] + random.standard_t(3, len(DATA.X)) for name in ("late", "size")}
    return DATA.Y.assign(**more)


def in_units(expected, factor, shift=0.0):
    """The same answers where numbers are `factor` times as large, and shifted but for counts."""
    shifts = {name: 0.0 if name == "visits" else shift for name in expected}
    has_units = {"price", "box", "visits", "late", "size"}
    return {n: v * factor + shifts[n] if n in has_units else v for n, v in expected.items()}


def test_units_of_targets_by_a_power_of_two_exactly():
    Y, factor = numbers(), 2.0**10
    larger = Y.assign(**{name: factor * Y[name] for name in SCALED})
    ests = [default(tasks=NUMBERS).fit(DATA.X, y, sample_weight=DATA.weights) for y in (Y, larger)]
    small, large = (values(est, NEW) for est in ests)
    assert_same(large, in_units(small, factor))
    narrow, wide = (est.predict_interval(NEW) for est in ests)
    assert_same(wide, in_units(narrow, factor))
    narrow, wide = (est.predict(NEW, return_std=True)[1] for est in ests)
    assert_same(wide, in_units(narrow, factor))


@pytest.mark.parametrize(("factor", "shift"), [(100.0, 0.0), (1 / 3.6, 0.0), (1e-12, 0.0), (1.8, 32.0)])  # fmt: skip
def test_units_of_targets_to_rounding(factor, shift):
    """Cents for euros, metres a second for kilometres an hour, Fahrenheit for Celsius."""
    Y = numbers()
    other = Y.assign(**{n: factor * Y[n] + (0.0 if n == "visits" else shift) for n in SCALED})
    expected = predicted(network(tasks=NUMBERS), DATA.X, Y, DATA.weights)
    found = predicted(network(tasks=NUMBERS), DATA.X, other, DATA.weights)
    assert_same(found, in_units(expected, factor, shift), rtol=1e-8, atol=1e-8)


def test_units_of_features_by_a_power_of_two_exactly():
    factors = 2.0 ** np.array([10, -7, 3])
    found = predicted(default(), DATA.X * factors, DATA.Y, new=NEW * factors)
    assert_same(found, predicted(default(), DATA.X, DATA.Y))


def test_units_of_features_to_rounding():
    scale, shift = np.array([100.0, 1 / 3.6, 1.8]), np.array([5.0, 0.0, 32.0])
    found = predicted(network(), DATA.X * scale + shift, DATA.Y, new=NEW * scale + shift)
    assert_same(found, predicted(network(), DATA.X, DATA.Y), rtol=1e-8, atol=1e-8)


def test_other_names_in_the_same_order_exactly():
    names = {"a": "apple", "b": "banana", "c": "cherry"}
    Y = DATA.Y.assign(kind=DATA.Y["kind"].map(names), sold=DATA.Y["sold"] == "yes")
    Y["sold"] = Y["sold"].astype("boolean").mask(DATA.Y["sold"].isna())
    Y = Y.rename(columns={"price": "prix"})
    found = predicted(default(), DATA.X, Y, DATA.weights)
    expected = predicted(default(), *DATA)
    found["price"] = found.pop("prix")
    assert_same({name: found[name] for name in expected}, expected)


def test_classes_in_another_order_at_the_minimum():
    names = {"a": "z", "b": "y", "c": "x", "yes": "0", "no": "1"}
    Y = DATA.Y.assign(**{name: DATA.Y[name].map(names) for name in ("kind", "sold")})
    found, expected = at_minimum(DATA.X, Y, DATA.weights), at_minimum(*DATA)
    for name in ("kind", "sold"):
        found[name] = found[name][:, ::-1]
    assert_same(found, expected, atol=1e-6)


# ---- cells without a label ---------------------------------------------------------------------


def test_what_stands_in_a_masked_cell_exactly():
    numeric = DATA.Y[["price", "width", "height", "visits"]].to_numpy()
    mask = np.isnan(numeric)
    tasks = [Task("box", "regression", columns=[1, 2]), Task("visits", "count", columns=[3])]
    expected = predicted(default(tasks=tasks), DATA.X, numeric, DATA.weights)
    for garbage in (0.0, -1e30, np.inf):
        masked = np.ma.array(np.where(mask, garbage, numeric), mask=mask)
        assert_same(predicted(default(tasks=tasks), DATA.X, masked, DATA.weights), expected)


@pytest.mark.parametrize("params", [{}, {"loss_weights": "cagrad", "n_members": 1}], ids=str)
def test_what_stands_in_a_cell_of_weight_0_exactly(params):
    """Scales, folds, losses, early stopping and intervals: weight 0 is a missing label."""
    random = np.random.default_rng(0)
    names = {"price": ["price"], "box": ["width", "height"], "sold": ["sold"], "kind": ["kind"],
             "visits": ["visits"], "tags": ["warm", "loud"]}  # fmt: skip
    hidden = {name: random.random(len(DATA.X)) < 0.3 for name in names}
    weights = pd.DataFrame({n: np.where(rows, 0.0, DATA.weights) for n, rows in hidden.items()})
    missing, garbage = DATA.Y.copy(), DATA.Y.copy()
    wrong = {"sold": "yes", "kind": "a", "warm": 1.0, "loud": 0.0, "visits": 1e6}
    for name, columns in names.items():
        for column in columns:
            missing.loc[hidden[name], column] = None
            garbage.loc[hidden[name], column] = wrong.get(column, -1e12)
    left, right = (
        default(**params).fit(DATA.X, y, sample_weight=weights) for y in (missing, garbage)
    )
    assert_same(values(right, NEW), values(left, NEW))
    intervals = [est.predict_interval(NEW) for est in (right, left)]
    assert_same(*intervals)


def test_a_class_of_weight_0_is_a_class_that_is_never_likely():
    """Kinds and classes are read from y alone, as scikit-learn's classifiers do."""
    Y = DATA.Y[["kind"]].dropna()
    X, rare = DATA.X[Y.index], np.arange(len(Y)) < 20
    weighted = Y.assign(kind=Y["kind"].where(~rare, "d"))
    est = fit(X, weighted, np.where(rare, 0.0, 1.0), penalty=L2(0.02))
    assert list(est.classes_["kind"]) == ["a", "b", "c", "d"]
    assert list(LogisticRegression().fit(X, weighted["kind"], 1.0 - rare).classes_) == list("abcd")
    assert values(est, NEW)["kind"][:, 3].max() < 1e-3


def test_a_row_without_a_label_exactly():
    """Its features are not looked at either."""
    wild = np.vstack([DATA.X, np.full((5, 3), 1e6)])
    Y = pd.concat([DATA.Y, pd.DataFrame(index=range(5))], ignore_index=True)
    found = predicted(default(), wild, Y, np.append(DATA.weights, np.ones(5)))
    assert_same(found, predicted(default(), *DATA))


def test_generators_of_the_caller_have_no_say():
    expected = predicted(default(), *DATA)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert_same(predicted(default(), *DATA), expected)


@pytest.mark.parametrize("params", [{"preprocess": None}, {}, {"sharing": "mmoe"}], ids=str)
@pytest.mark.parametrize("n", [3, 200])
def test_the_layout_of_the_features_is_without_effect(params, n):
    """To the last bit: products of rows that lie by columns are computed in another order."""
    X = np.random.default_rng(0).normal(size=(n, 7))
    est = MultiTaskNetRegressor(max_epochs=2, random_state=0, **params)
    est.fit(np.repeat(X, 20, axis=0)[:100], np.repeat(X, 20, axis=0)[:100, :2])
    expected = est.predict(X)
    for other in (
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        np.repeat(X, 2, axis=0)[::2],
    ):
        np.testing.assert_array_equal(est.predict(other), expected)
