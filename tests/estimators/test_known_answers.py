"""Without hidden layers an estimator is a table of linear models, whose answers are known.

The documented objective, ``sum_t a_t mean_labelled(w_it loss_t) + Omega``, is here

    sum_t  a_t / l_t  *  sum_i w_it loss_t(x_i W_t, y_it) / n_t   +   strength / 2 * sum_t |W_t|^2

over the n_t labelled cells of each task.  l_t is the loss of the best constant (1 with
``normalize_losses=False``), the w_it have a mean of 1, biases are not penalised, and tasks share no
weight: each is a model of its own.

- Numbers are standardised by a mean and a deviation s.  The slopes are b = s W in the units of y,
  and the loss of the best constant is 1.  Times n s^2 / a: ``sum w (y - xb)^2 + n strength / (2 a)
  |b|^2``, which is Ridge with alpha = n strength / (2 a).
- Cross-entropies, divided by the strength: ``a / (n l strength) sum w loss + |W|^2 / 2``, which is
  LogisticRegression with C = a / (n l strength).
- Counts are divided by their mean m, and so is their half deviance.  Times m l / a: ``sum w
  half deviance / n + m l strength / a |W|^2 / 2``, which is PoissonRegressor with
  alpha = m l strength / a; m l is the half deviance of the mean.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.metrics import mean_pinball_loss
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import LRScheduler

from skmtl import Task
from skmtl.penalties import L2
from tests.estimators.convex import TASKS, coefficients, fit, made, values

STRENGTH = 0.02
INFLUENCE = {"price": 2.0, "box": 0.5, "sold": 3.0, "kind": 0.7, "visits": 1.5, "tags": 1.0}
NEW = np.random.default_rng(1).normal(size=(50, 3))


def least_squares(X, y, weights=None):
    """Intercept and slopes, and their standard errors, each of shape (1 + feature,)."""
    root = np.sqrt(np.ones(len(y)) if weights is None else weights)
    rows = np.column_stack([np.ones(len(X)), X]) * root[:, None]
    found, residual, *_ = np.linalg.lstsq(rows, y * root, rcond=None)
    variance = residual[0] / (len(y) - rows.shape[1])
    return found, np.sqrt(variance * np.diag(np.linalg.inv(rows.T @ rows)))


# ---- least squares -----------------------------------------------------------------------------

PLANTED = np.array([[10.0, -3e4, 0.02], [1.0, 2e3, 0.0], [-2.0, 0.0, 0.01], [0.0, 5e3, -0.03]])
UNITS = np.array([1.0, 1e4, 0.01])


@pytest.fixture(scope="module")
def planted():
    """Three targets of very different units; each is a line plus noise of half a unit."""
    random = np.random.default_rng(3)
    X = random.normal(size=(300, 3)) * [1.0, 2.0, 0.5] + [0.0, 1.0, -1.0]
    Y = PLANTED[0] + X @ PLANTED[1:] + 0.5 * UNITS * random.normal(size=(300, 3))
    return X, pd.DataFrame(Y, columns=["a", "b", "c"])


@pytest.mark.parametrize("missing", [0.0, 0.5], ids=["complete", "half missing"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"preprocess": StandardScaler()},
        {"sharing": "independent"},
        {"n_members": 3, "bagging": None},
        {"normalize_losses": False, "loss_weights": [1.0, 0.1, 10.0]},
        {"optimizer": "adam", "lr": 0.3, "max_epochs": 600},
        {"optimizer": torch.optim.SGD, "lr": 0.05, "max_epochs": 2000},
    ],
    ids=["lbfgs", "scaled features", "independent", "members", "weights", "adam", "sgd"],
)
def test_planted_lines_are_recovered(planted, params, missing):
    """Each task is the least-squares fit to its own rows, and within its errors of the truth."""
    X, Y = planted
    Y = Y.mask(np.random.default_rng(0).random(Y.shape) < missing)
    est = fit(X, Y, **params)
    found = coefficients(est.predict, X.shape[1])
    for column, name in enumerate(Y):
        own = Y[name].notna().to_numpy()
        expected, errors = least_squares(X[own], Y[name][own])
        np.testing.assert_allclose(found[:, column], expected, atol=1e-4 * UNITS[column], rtol=0)
        assert (np.abs(found[:, column] - PLANTED[:, column]) < 4 * errors).all()


def test_without_noise_the_truth_is_recovered(planted):
    X, _ = planted
    Y = pd.DataFrame(PLANTED[0] + X @ PLANTED[1:], columns=["a", "b", "c"])
    found = coefficients(fit(X, Y).predict, 3)
    np.testing.assert_allclose(found / UNITS, PLANTED / UNITS, atol=1e-6)


def test_weights_are_those_of_weighted_least_squares(planted):
    """By row and task: each column has weights of its own."""
    X, Y = planted
    weights = np.random.default_rng(0).uniform(0.0, 3.0, size=Y.shape)
    found = coefficients(fit(X, Y, weights).predict, 3)
    expected = [least_squares(X, Y[name], w)[0] for name, w in zip(Y, weights.T, strict=True)]
    np.testing.assert_allclose(found / UNITS, np.transpose(expected) / UNITS, atol=1e-6)


def test_a_trained_trunk_without_activation_finds_the_line_of_a_deep_linear_model(planted):
    """Two linear layers are as good as one where no layer is narrower than tasks or features."""
    X, Y = planted
    est = fit(X, Y, hidden_layer_sizes=(4,), activation=torch.nn.Identity)
    expected = np.column_stack([least_squares(X, Y[name])[0] for name in Y])
    np.testing.assert_allclose(coefficients(est.predict, 3) / UNITS, expected / UNITS, atol=1e-4)


# ---- every kind in one fit, with a penalty -----------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[(True, False), (True, True), (False, True)],
    ids=["unweighted", "weighted", "plain losses"],
)
def joint(request):
    """The table, the fitted estimator, weights of rows, and whether losses are normalised."""
    normalizes, is_weighted = request.param
    data = made()
    data = data if is_weighted else data._replace(weights=np.ones(len(data.X)))
    est = fit(
        data.X, data.Y, data.weights if is_weighted else None, tasks=TASKS, penalty=L2(STRENGTH),
        loss_weights=INFLUENCE, normalize_losses=normalizes,
    )  # fmt: skip
    return data, values(est, NEW), normalizes


def of_cells(data, columns):
    """Features, labels and weights of each column, scaled to a mean of 1 over all cells."""
    parts = [data.labelled(column) for column in columns]
    n_cells = sum(len(y) for _, y, _ in parts)
    total = sum(w.sum() for *_, w in parts)
    return [(X, y, w * n_cells / total) for X, y, w in parts], n_cells


@pytest.mark.parametrize(
    ("task", "columns"), [("price", ["price"]), ("box", ["width", "height"])], ids=["price", "box"]
)
def test_numbers_are_ridge_regressions(joint, task, columns):
    data, found, _ = joint
    parts, n_cells = of_cells(data, columns)
    for column, (X, y, w) in enumerate(parts):
        ridge = Ridge(alpha=n_cells * STRENGTH / 2 / INFLUENCE[task], tol=1e-12)
        expected = ridge.fit(X, y, sample_weight=w).predict(NEW)
        np.testing.assert_allclose(found[task][:, column], expected, rtol=1e-4, atol=1e-4 * y.std())


def logistic(parts, n_cells, influence, null):
    strength = n_cells * null * STRENGTH / influence
    for X, y, w in parts:
        model = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=10_000)
        yield model.fit(X, y, sample_weight=w).predict_proba(NEW)


def cross_entropy_of_shares(parts):
    """The loss of the best constant of class tasks: the mean over all cells."""
    total = 0.0
    for _, y, w in parts:
        by_class = np.array([w[y == c].sum() for c in np.unique(y)])
        total -= (by_class * np.log(by_class / by_class.sum())).sum()
    return total / sum(len(y) for _, y, _ in parts)


@pytest.mark.parametrize(
    ("task", "columns"),
    [("sold", ["sold"]), ("kind", ["kind"]), ("tags", ["warm", "loud"])],
    ids=["binary", "multiclass", "multilabel"],
)
def test_classes_are_logistic_regressions(joint, task, columns):
    data, found, normalizes = joint
    parts, n_cells = of_cells(data, columns)
    null = cross_entropy_of_shares(parts) if normalizes else 1.0
    expected = list(logistic(parts, n_cells, INFLUENCE[task], null))
    if task == "tags":
        expected = [np.column_stack([p[:, 1] for p in expected])]
    np.testing.assert_allclose(found[task], expected[0], atol=1e-4)


def test_counts_are_poisson_regressions(joint):
    data, found, normalizes = joint
    ((X, y, w),), _ = of_cells(data, ["visits"])
    mean = np.average(y, weights=w)
    deviance = np.average(y * np.log(np.where(y > 0, y, 1.0) / mean) - y + mean, weights=w)
    factor = deviance if normalizes else mean
    alpha = factor * STRENGTH / INFLUENCE["visits"]
    peer = PoissonRegressor(alpha=alpha, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(found["visits"][:, 0], peer.predict(NEW), rtol=1e-4)


# ---- one by one --------------------------------------------------------------------------------


def test_weight_decay_of_plain_gradient_descent_is_ridge():
    """``W -= lr (gradient + decay W)`` rests where ``2 X'(XW - y) / n + decay W = 0``.

    That is Ridge with alpha = n decay / 2.  Adam's decay, which is not divided by the size of the
    gradient, rests elsewhere.
    """
    data = made(missing=0.0)
    decay = 0.1
    est = fit(
        data.X, data.Y[["price", "height"]], optimizer=torch.optim.SGD, lr=0.1, max_epochs=400,
        weight_decay=decay,
    )  # fmt: skip
    ridge = Ridge(alpha=len(data.X) * decay / 2).fit(data.X, data.Y[["price", "height"]])
    np.testing.assert_allclose(est.predict(NEW), ridge.predict(NEW), rtol=1e-6)


@pytest.mark.parametrize("class_weight", ["balanced", {"yes": 4.0}], ids=["balanced", "mapping"])
def test_class_weights_are_scikit_learns(class_weight):
    data = made()
    X, y, w = data.labelled("sold")
    # Without a penalty weights may have any scale.
    peer = LogisticRegression(C=np.inf, class_weight=class_weight, tol=1e-10, max_iter=10_000)
    est = fit(X, y, w, class_weight=class_weight)
    expected = peer.fit(X, y, sample_weight=w).predict_proba(NEW)
    np.testing.assert_allclose(est.predict_proba(NEW), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "level"),
    [
        (Task("y", "quantile", quantiles=[0.7]), 0.7),
        (Task("y", "regression", loss="absolute"), 0.5),
    ],
    ids=["quantile", "absolute"],
)
def test_weighted_quantiles_are_quantile_regressions(task, level):
    """Weighted, with missing labels: scikit-learn finds the vertex by linear programming."""
    data = made()
    X, y, w = data.labelled("height")
    peer = QuantileRegressor(quantile=level, alpha=0).fit(X, y, sample_weight=w)
    steps = {"optimizer": "adam", "lr": 0.05, "max_epochs": 1000}
    falls = [LRScheduler("CosineAnnealingLR", T_max=1000)]  # a kink needs steps that get small
    table = pd.DataFrame({"y": data.Y["height"], "sold": data.Y["sold"]})
    est = fit(data.X, table, data.weights, tasks=[task], callbacks=falls, **steps)
    losses = [
        mean_pinball_loss(y, predicted, sample_weight=w, alpha=level)
        for predicted in (est.predict(X)["y"], peer.predict(X))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    # Near a vertex the loss is nearly flat: 1e-4 of the loss is 1e-2 of the spread.
    np.testing.assert_allclose(est.predict(NEW)["y"], peer.predict(NEW), atol=1e-2 * y.std())
