import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmtl import MultiTaskNetClassifierRegressor, MultiTaskNetRegressor
from skmtl.inspection import task_relations
from skmtl.penalties import TaskRelations
from skmtl.sharing import Grouped


@pytest.fixture(scope="module")
def table():
    """Two tasks alike, the opposite of them, and one of its own."""
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 6))
    first, second = X[:, 0] + X[:, 1], X[:, 3] - X[:, 4]
    Y = np.column_stack([first, first, -first, second]) + 0.1 * random.normal(size=(300, 4))
    return X, pd.DataFrame(Y, columns=["a", "b", "c", "d"])


def linear(**params):
    return MultiTaskNetRegressor(hidden_layer_sizes=(), max_epochs=60, random_state=0, **params)


def test_related_tasks_are_found(table):
    est = linear(penalty=TaskRelations(strength=1e-2), lr=0.02).fit(*table)
    found = task_relations(est)
    assert list(found.index) == list(found.columns) == ["a", "b", "c", "d"]
    assert found.loc["a", "b"] > 0.9
    assert found.loc["a", "c"] < -0.9
    assert abs(found.loc["a", "d"]) < 0.2


def test_against_the_root_of_scipy(table):
    est = linear(n_members=1).fit(*table)
    weight = est.net_.module_.heads.output.weight[0].detach().double().numpy()
    root = sqrtm(weight.T @ weight).real
    scale = np.sqrt(np.diag(root))
    expected = root / np.outer(scale, scale)
    names = est.net_.criterion_.layout.names
    np.testing.assert_allclose(task_relations(est).loc[names, names], expected, atol=1e-6)


def test_several_outputs_pipelines_and_searches(table):
    X, Y = table
    Y = Y.assign(e=np.digitize(Y["d"], [-1, 1]))
    net = MultiTaskNetClassifierRegressor({"e": "multiclass"}, max_epochs=5, random_state=0)
    pipe = make_pipeline(StandardScaler(), net)
    search = GridSearchCV(pipe, {"multitasknetclassifierregressor__lr": [1e-3]}, cv=2)
    for est in (pipe.fit(X, Y), search.fit(X, Y)):
        found = task_relations(est)
        assert found.shape == (5, 5)
        np.testing.assert_allclose(np.diag(found), 1.0)
        np.testing.assert_allclose(found, found.T)
        assert (found.abs() <= 1 + 1e-9).all(axis=None)


def test_hidden_heads(table):
    est = linear(head_layer_sizes=(3,)).set_params(max_epochs=1).fit(*table)
    with pytest.raises(ValueError, match=r"without hidden layers.*`head_layer_sizes = \(3,\)`"):
        task_relations(est)


def layered(**params):
    return linear(**params).set_params(hidden_layer_sizes=(4,), max_epochs=1)


@pytest.mark.parametrize("sharing", ["hard", "chain", "mmoe", "dselect_k", "attention"])
def test_schemes_of_common_features(table, sharing):
    found = task_relations(layered(sharing=sharing).fit(*table))
    assert found.shape == (4, 4)
    assert (found.abs() <= 1 + 1e-9).all(axis=None)


@pytest.mark.parametrize("sharing", ["independent", "ple", "soft"])
def test_schemes_of_features_for_each_task(table, sharing):
    est = layered(sharing=sharing).fit(*table)
    match = rf"heads that read the same features.*Found `sharing = '{sharing}'`"
    with pytest.raises(ValueError, match=match):
        task_relations(est)


@pytest.mark.parametrize(
    ("groups", "is_common"), [([list("abcd")], True), ([["a", "b", "c"], ["d"]], False)]
)
def test_one_group_has_common_features_and_two_have_not(table, groups, is_common):
    est = layered(sharing=Grouped(groups)).fit(*table)
    if is_common:
        assert task_relations(est).shape == (4, 4)
    else:
        with pytest.raises(ValueError, match="features of their own"):
            task_relations(est)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        task_relations(linear())
