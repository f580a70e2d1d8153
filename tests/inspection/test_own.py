"""What a task's own net is made of."""

import numpy as np
import pytest
from scipy.stats import randint
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl.inspection import sharing_report
from skmtl.inspection._inner import inner_net
from skmtl.inspection._own import own_estimator
from skmtl.penalties import L2, TaskRelations
from skmtl.sharing import MMoE
from skmtl.tasks import Task

PRICE = Task("price", "regression")
RELATED = TaskRelations({("price", "size"): 1.0})


@pytest.fixture
def quick(make):
    return make(max_epochs=2, early_stopping=False)


def test_a_net(quick):
    weights = {"price": 2.0, "size": 1.0}
    quick.set_params(sharing=MMoE(), loss_weights=weights, penalty="l2", lr=0.5)
    own = own_estimator(quick, PRICE, 2)
    assert (own.sharing, own.loss_weights, own.penalty, own.lr) == ("hard", None, "l2", 0.5)
    assert own.tasks == [PRICE]
    assert isinstance(quick.sharing, MMoE)


@pytest.mark.parametrize(
    ("penalty", "n_kept"),
    [(RELATED, 0), ("task_relations", 0), ([RELATED, L2()], 1), ([L2(), "l1"], 2), (None, 0)],
    ids=str,
)
def test_penalties_on_relations_are_left_out(quick, penalty, n_kept):
    own = own_estimator(quick.set_params(penalty=penalty), PRICE, 2).penalty
    assert (own is None) if n_kept == 0 else len(own) == n_kept


@pytest.mark.parametrize(
    ("params", "grid", "expected"),
    [
        ({"sharing": MMoE()}, {"sharing__n_experts": [2, 3], "lr": [0.1]}, {"lr": [0.1]}),
        ({}, {"sharing": ["hard", "mmoe"], "loss_weights": [None]}, {}),
        ({"penalty": RELATED}, {"penalty__strength": [0.1, 1.0]}, {}),
        ({"penalty": L2()}, {"penalty__strength": [0.1]}, {"penalty__strength": [0.1]}),
        ({}, {"penalty": [RELATED, "l2"], "penalty__strength": [1]}, {"penalty": [None, "l2"]}),
        (
            {},
            {"class_weight": [{"sold": "balanced", "price": None}, None]},
            {"class_weight": [{"price": None}, None]},
        ),
        ({}, [{"sharing": ["cgc"]}, {"dropout": [0.1]}], [{}, {"dropout": [0.1]}]),
    ],
)
def test_grids(quick, params, grid, expected):
    search = GridSearchCV(quick.set_params(**params), grid)
    assert own_estimator(search, PRICE, 4).param_grid == expected
    assert search.param_grid is grid


def test_grids_of_pipelines_and_inside_pipelines(quick):
    quick.set_params(sharing=MMoE())
    name = "multitasknetclassifierregressor__"
    grid = {f"{name}sharing__n_experts": [2, 3], f"{name}lr": [0.1], "standardscaler": [None]}
    own = own_estimator(GridSearchCV(make_pipeline(StandardScaler(), quick), grid), PRICE, 4)
    assert own.param_grid == {f"{name}lr": [0.1], "standardscaler": [None]}
    search = GridSearchCV(quick, {"sharing__n_experts": [2, 3], "lr": [0.1]})
    own = own_estimator(make_pipeline(StandardScaler(), search), PRICE, 4)
    assert own[-1].param_grid == {"lr": [0.1]}
    assert inner_net(own)[0].sharing == "hard"


def test_distributions(quick):
    quick.set_params(sharing=MMoE())
    n_experts = randint(2, 5)
    search = RandomizedSearchCV(quick, {"sharing__n_experts": n_experts, "lr": [0.1, 0.2]})
    own = own_estimator(search, PRICE, 4)
    assert own.param_distributions == {"lr": [0.1, 0.2]}
    assert own.n_iter == 2  # scikit-learn warns of more candidates than there are
    search = RandomizedSearchCV(quick, {"penalty": randint(2, 5)})
    with pytest.raises(ValueError, match=r"Found the distribution .*Give a list of values"):
        own_estimator(search, PRICE, 4)


def test_a_report_with_relations(quick, table):
    X, Y = table
    quick.set_params(penalty=RELATED)
    report = sharing_report(quick, X, Y[["price", "size"]], cv=2)
    assert np.isfinite(report.scores["score"]).all()


def test_a_report_on_a_search(quick, table):
    X, Y = table
    grid = {"sharing__n_experts": [2, 3]}
    search = GridSearchCV(quick.set_params(sharing=MMoE()), grid, cv=2)
    report = sharing_report(search, X, Y[["price", "size"]], cv=2)
    assert np.isfinite(report.scores["score"]).all()
