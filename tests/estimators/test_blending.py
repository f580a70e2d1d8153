"""Averages of several networks, chosen by held-out rows, against plain searches."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import log_loss, mean_pinball_loss, mean_poisson_deviance, r2_score

from skmtl.estimators._blending import _losses, _selected, blend, select_weights
from skmtl.tasks import Targets, Task, TaskOutput

N = 400


def targets_of(*columns):
    values = np.column_stack(columns)
    return Targets(values, ~np.isnan(values))


def noisy(random, truth, *sizes):
    """Predictions that miss by independent errors of the given sizes."""
    return [truth + size * random.normal(size=truth.shape) for size in sizes]


def test_a_blend_is_the_weighted_mean():
    random = np.random.default_rng(0)
    tasks = Task("a", "regression"), Task("b", "binary", classes=(0, 1))
    a, p = random.normal(size=(3, 5, 1)), random.dirichlet([1, 1], size=(3, 5))
    outputs = [[TaskOutput(tasks[0], a[i]), TaskOutput(tasks[1], p[i])] for i in range(3)]
    weights = np.array([[0.2, 0.0], [0.8, 0.5], [0.0, 0.5]])
    found = blend(outputs, weights)
    np.testing.assert_allclose(found[0].values, 0.2 * a[0] + 0.8 * a[1])
    np.testing.assert_allclose(found[1].values, (p[1] + p[2]) / 2)


def test_weights_come_near_the_best_average():
    """The greedy choice against scipy's constrained minimum."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(N, 1))
    values = np.stack(noisy(random, truth, 0.5, 0.7, 3.0))
    weights = _selected(Task("a", "regression"), values, truth, np.ones((N, 1)))
    assert weights.sum() == pytest.approx(1)

    def loss(w):
        return ((np.tensordot(w, values, 1) - truth) ** 2).mean()

    bounds = {"bounds": [(0, 1)] * 3, "constraints": {"type": "eq", "fun": lambda w: w.sum() - 1}}
    best = minimize(loss, np.full(3, 1 / 3), **bounds)
    assert loss(weights) <= best.fun * 1.01
    np.testing.assert_allclose(weights, best.x, atol=0.06)


def test_each_task_has_weights_of_its_own():
    random = np.random.default_rng(0)
    truth = random.normal(size=(N, 2))
    good, bad = noisy(random, truth, 0.1, 5.0)
    tasks = [Task("a", "regression"), Task("b", "regression")]
    first = [TaskOutput(tasks[0], good[:, :1]), TaskOutput(tasks[1], bad[:, 1:])]
    second = [TaskOutput(tasks[0], bad[:, :1]), TaskOutput(tasks[1], good[:, 1:])]
    weights = select_weights([first, second], targets_of(*truth.T), np.ones((N, 2)))
    share = N / (N + 30)  # the rest is the first network's
    np.testing.assert_allclose(weights, [[1, 1 - share], [0, share]], atol=0.051)


def test_rare_classes_choose_with_caution():
    random = np.random.default_rng(0)
    y = (np.arange(N) < 10).astype(float)[:, None]
    task = Task("a", "binary", classes=(0, 1))
    poor = np.full((N, 2), 0.5)
    good = np.abs(y - [0.9, 0.1]) + 0.01 * random.random((N, 2))
    outputs = [[TaskOutput(task, values)] for values in (poor, good / good.sum(1, keepdims=True))]
    weights = select_weights(outputs, targets_of(y), np.ones((N, 1)))
    assert weights[1, 0] == pytest.approx(20 / 50)


def test_missing_labels_do_not_count():
    random = np.random.default_rng(0)
    truth = random.normal(size=(N, 1))
    good, bad = noisy(random, truth, 0.1, 5.0)
    good[: N // 2], bad[: N // 2] = 100.0, truth[: N // 2]  # where no label tells
    holes = truth.copy()
    holes[: N // 4] = np.nan
    cells = np.ones((N, 1))
    cells[: N // 2] = 0.0
    outputs = [[TaskOutput(Task("a", "regression"), values)] for values in (bad, good)]
    weights = select_weights(outputs, targets_of(holes), cells)
    share = N / 2 / (N / 2 + 30)
    np.testing.assert_allclose(weights[:, 0], [1 - share, share], atol=0.03)
    nobody = select_weights(outputs, targets_of(np.full((N, 1), np.nan)), cells)
    assert nobody[:, 0].tolist() == [1, 0]


KINDS = ["regression", "multiclass", "ordinal", "multilabel", "count", "quantile"]


def test_columns_of_a_vector_count_alike_whatever_is_missing():
    """A column far from 0 whose labels are missing in part is no column of a huge spread."""
    random = np.random.default_rng(0)
    truth = np.column_stack([1000 + random.normal(size=N), random.normal(size=N)])
    errors = np.array([[1.0, 0.3], [0.1, 0.35]])  # of networks, by column
    values = [truth + own * random.normal(size=truth.shape) for own in errors]
    outputs = [[TaskOutput(Task("v", "regression", columns=("a", "b")), own)] for own in values]
    whole = Targets(truth, np.ones(truth.shape, bool))
    part = Targets(truth, np.column_stack([np.arange(N) % 2 > 0, np.ones(N, bool)]))
    for targets in (whole, part):
        weights = select_weights(outputs, targets, targets.mask * 1.0)
        assert weights[1, 0] > 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_losses_order_averages_as_scikit_learn_does(kind):
    random = np.random.default_rng(0)
    cells = random.integers(0, 3, (N, 1)).astype(float)
    weight = cells[:, 0]
    if kind == "multilabel":
        values = random.random((2, N, 3))
        y, cells = random.integers(0, 2, (N, 3)).astype(float), random.integers(0, 3, (N, 3)) * 1.0
        task = Task("t", kind, columns=("p", "q", "r"), classes=(0, 1))
        theirs = [
            log_loss(y.ravel(), v.ravel(), sample_weight=cells.ravel(), normalize=False)
            for v in values
        ]
    elif kind in {"multiclass", "ordinal"}:
        values, y = random.dirichlet([1, 1, 1], (2, N)), random.integers(0, 3, (N, 1))
        task = Task("t", kind, classes=(0, 1, 2))
        theirs = [log_loss(y, v, sample_weight=weight, normalize=False) for v in values]
    elif kind == "count":
        values, y = random.gamma(1.0, size=(2, N, 1)) + 0.1, random.poisson(2.0, (N, 1)) * 1.0
        task = Task("t", kind)
        theirs = [mean_poisson_deviance(y, v, sample_weight=weight) for v in values]
    elif kind == "quantile":
        values, y = np.sort(random.normal(size=(2, N, 2)), axis=2), random.normal(size=(N, 1))
        task = Task("t", kind, quantiles=(0.2, 0.8))
        theirs = [
            sum(
                mean_pinball_loss(y, v[:, [k]], alpha=q, sample_weight=weight)
                for k, q in enumerate((0.2, 0.8))
            )
            for v in values
        ]
    else:
        values, y = random.normal(size=(2, N, 1)), random.normal(size=(N, 1))
        task = Task("t", kind)
        theirs = [-r2_score(y, v, sample_weight=weight) for v in values]
    ours = _losses(task, values, y, cells)
    factors = {"count": 2 / weight.sum(), "quantile": 1 / weight.sum()}
    factor = factors.get(kind, 1 / weight.sum() if kind == "regression" else 1.0)
    np.testing.assert_allclose((ours[0] - ours[1]) * factor, theirs[0] - theirs[1], rtol=1e-9)
