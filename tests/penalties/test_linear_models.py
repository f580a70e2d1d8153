"""Without hidden layers, penalties are the linear models of the literature."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Lasso, MultiTaskLasso, Ridge

from skmtl import MultiTaskNetRegressor
from skmtl.penalties import L1, L2, L21, TaskRelations, TraceNorm

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def data():
    """Standardised features and targets; the last three features are of no use."""
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 6))
    W = np.vstack([random.normal(size=(3, 3)), np.zeros((3, 3))])
    Y = X @ W + 0.5 * random.normal(size=(80, 3))
    return (X - X.mean(0)) / X.std(0), (Y - Y.mean(0)) / Y.std(0)


def coefficients(data, penalty, **params):
    """Fit to the minimum in float64; shape (feature, task)."""
    X, Y = data
    net = {"optimizer__max_iter": 2000, "optimizer__line_search_fn": "strong_wolfe"}
    net |= {"optimizer__tolerance_grad": 1e-12, "optimizer__tolerance_change": 1e-16}
    net |= {"optimizer__history_size": 50}
    est = MultiTaskNetRegressor(
        normalize_losses=False,
        hidden_layer_sizes=(), penalty=penalty, optimizer=torch.optim.LBFGS, lr=1.0,
        weight_decay=0.0, batch_size=len(X), max_epochs=3, early_stopping=False, preprocess=None,
        dtype="float64", random_state=0, net_params=net, **params,
    )  # fmt: skip
    est.fit(X, pd.DataFrame(Y, columns=NAMES))
    network = est.net_.module_
    weight = network.heads.output.weight[0].detach().numpy()
    layout = network.heads.layout
    return weight[:, [layout.names.index(name) for name in NAMES]]


def test_l21_is_the_multi_task_lasso(data):
    X, Y = data
    alpha = 0.15
    expected = MultiTaskLasso(alpha=alpha, tol=1e-12, max_iter=100_000).fit(X, Y).coef_.T
    found = coefficients(data, L21(2 * alpha))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert (expected == 0).all(axis=1).any()  # some features are left out for all tasks


def test_l1_is_a_lasso_for_each_task(data):
    X, Y = data
    alpha = 0.1
    expected = np.column_stack([Lasso(alpha, tol=1e-12).fit(X, y).coef_ for y in Y.T])
    # Line searches stall a little before the kinks.
    np.testing.assert_allclose(coefficients(data, L1(2 * alpha)), expected, atol=1e-2)


def test_l2_is_ridge(data):
    X, Y = data
    expected = Ridge(alpha=len(X) * 0.3 / 2).fit(X, Y).coef_.T
    np.testing.assert_allclose(coefficients(data, L2(0.3)), expected, atol=1e-6)


def test_the_trace_norm_shrinks_singular_values(data):
    """For X^T X = n I the minimum is soft thresholding of the least-squares fit."""
    X, Y = data
    X = np.linalg.qr(X)[0] * np.sqrt(len(X))
    X -= X.mean(0)
    X = np.linalg.qr(X)[0] * np.sqrt(len(X))  # orthogonal and centred
    strength = 0.6
    U, s, V = np.linalg.svd(X.T @ Y / len(X), full_matrices=False)
    expected = U * np.maximum(s - strength / 2, 0) @ V
    found = coefficients((X, Y), TraceNorm(strength))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert (s > strength / 2).any()
    assert (s < strength / 2).any()


def relation_matrix():
    return np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.5, 0.0]])


def test_smoothness_is_the_graph_regularised_least_squares_fit(data):
    X, Y = data
    R, strength = relation_matrix(), 0.7
    laplacian = np.diag(R.sum(1)) - R
    n, p = X.shape
    # gradient: 2 X^T (X W - Y) / n + 2 strength W L = 0
    system = np.kron(np.eye(3), X.T @ X / n) + strength * np.kron(laplacian, np.eye(p))
    expected = np.linalg.solve(system, (X.T @ Y / n).T.ravel()).reshape(3, p).T
    penalty = TaskRelations(R, strength=strength)
    np.testing.assert_allclose(coefficients(data, penalty), expected, atol=1e-6)


def test_strong_relations_make_one_model_of_all_tasks(data):
    X, Y = data
    everyone = np.ones((3, 3))
    found = coefficients(data, TaskRelations(everyone, strength=1e6))
    mean = np.linalg.lstsq(X, Y.mean(1), rcond=None)[0]
    np.testing.assert_allclose(found, np.repeat(mean[:, None], 3, axis=1), atol=1e-3)


def test_learned_relations_are_the_best_ones(data):
    """At the minimum no matrix of trace 1 makes tr(W R^-1 W^T) smaller than the penalty."""
    strength = 0.2
    W = coefficients(data, TaskRelations(strength=strength))
    X, Y = data
    values, vectors = np.linalg.eigh(W.T @ W)
    root = vectors * np.sqrt(values) @ vectors.T
    R = root / np.trace(root)
    n, p = X.shape
    # With R fixed the minimum has a closed form: it has to be the same W.
    system = np.kron(np.eye(3), X.T @ X / n) + strength * np.kron(np.linalg.inv(R), np.eye(p))
    expected = np.linalg.solve(system, (X.T @ Y / n).T.ravel()).reshape(3, p).T
    np.testing.assert_allclose(W, expected, atol=1e-3)


def test_the_product_of_losses_weighs_a_task_by_its_relatives(data):
    X, Y = data
    R, strength = relation_matrix(), 0.5
    found = coefficients(data, [TaskRelations(R, "product", strength=strength), L2(0.2)])
    losses = ((Y - X @ found) ** 2).mean(0)  # biases are 0: all is centred
    weights = 1 + strength * R @ losses
    n, p = X.shape
    for task in range(3):  # each task is a ridge with the weight that its relatives give it
        system = weights[task] * X.T @ X / n + 0.1 * np.eye(p)
        expected = np.linalg.solve(system, weights[task] * X.T @ Y[:, task] / n)
        np.testing.assert_allclose(found[:, task], expected, atol=1e-5)
