"""What counts as a change of parameters between two fits."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skmtl import MultiTaskNetRegressor
from skmtl.estimators._contents import is_alike
from skmtl.estimators._parameters import built_from, check_unchanged
from skmtl.penalties import L2, TaskRelations
from skmtl.sharing import Grouped
from skmtl.tasks import Task

NAMES = [f"t{i}" for i in range(60)]


def relations(r=1.0):
    found = np.ones((60, 60))
    found[30, 31] = found[31, 30] = r
    return found


class Times:
    """A transformation whose repr tells nothing."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, X):
        return X * self.factor


class Scaled(torch.nn.Module):
    """A module with a number that is neither a weight nor in its repr."""

    def __init__(self, factor):
        super().__init__()
        self._factor = factor


def learnt(r):
    steps = make_pipeline(StandardScaler()).fit(np.array([[0.0], [r]]))
    return FrozenEstimator(steps)


def module_scaled(r):
    return {"net_params": {"module": Scaled(r)}}


OFFSET = 0.0
CALLS = 0


def counted(X):
    global CALLS  # noqa: PLW0603, as counters do
    CALLS += 1
    return X + OFFSET


def of_penalty(make):
    return lambda r: {"penalty": make(r)}


@pytest.mark.parametrize(
    "make",
    [
        of_penalty(lambda r: TaskRelations(relations(r))),
        of_penalty(lambda r: [L2(), TaskRelations(relations(r))]),
        of_penalty(lambda r: TaskRelations(pd.DataFrame(relations(r), NAMES, NAMES))),
        of_penalty(lambda r: TaskRelations(pl.DataFrame(relations(r), NAMES))),
        of_penalty(lambda r: TaskRelations(torch.as_tensor(relations(r)))),
        of_penalty(lambda r: TaskRelations(relations(r).astype(object))),
        of_penalty(lambda r: TaskRelations(relations(r).tolist())),
        of_penalty(lambda r: TaskRelations({("a", f"b{i}"): r for i in range(300)})),
        lambda r: {"sharing": Grouped(pd.Series([0] * 30 + [r] + [0] * 69))},
        lambda r: {"sharing": Grouped([{f"a{i}" for i in range(99)}, {f"b{r}"}])},
        lambda r: {"preprocess": FunctionTransformer(kw_args={"table": relations(r)})},
        lambda r: {"preprocess": FunctionTransformer(Times(r))},
        lambda r: {"preprocess": FunctionTransformer(Times(r).__call__)},
        lambda r: {"preprocess": FunctionTransformer(kw_args={"table": csr_array(relations(r))})},
        lambda r: {"preprocess": FunctionTransformer(kw_args={"rows": pd.Index([0] * 99 + [r])})},
        lambda r: {"preprocess": learnt(r)},
        module_scaled,
        lambda r: {"tasks": [Task("a", classes=[*range(50), 50 + int(10 * r)])]},
        lambda r: {"net_params": {"x": relations(r)}},
    ],
)
def test_a_change_anywhere_is_seen(make):
    before = built_from(MultiTaskNetRegressor(**make(1.0)))
    same = MultiTaskNetRegressor(**pickle.loads(pickle.dumps(make(1.0))))
    check_unchanged(same, before)
    changed = MultiTaskNetRegressor(**make(0.5))
    with pytest.raises(ValueError, match="Set it back, or fit anew"):
        check_unchanged(changed, before)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"weight_decay": 0}, {"weight_decay": 0.0}),
        ({"dropout": 0.1}, {"dropout": np.float64(0.1)}),
        ({"batch_size": 16}, {"batch_size": np.int64(16)}),
        ({"hidden_layer_sizes": (8,)}, {"hidden_layer_sizes": [8]}),
    ],
)
def test_equal_values_of_another_type_are_no_change(before, now):
    check_unchanged(MultiTaskNetRegressor(**now), built_from(MultiTaskNetRegressor(**before)))


def test_what_a_function_reads_counts_and_what_it_writes_does_not(monkeypatch):
    est = MultiTaskNetRegressor(preprocess=FunctionTransformer(counted))
    before = built_from(est)
    counted(1.0)
    check_unchanged(est, before)
    monkeypatch.setitem(globals(), "OFFSET", 1.0)
    with pytest.raises(ValueError, match="Set it back, or fit anew"):
        check_unchanged(est, before)


def test_texts_of_files_of_version_1_are_alike():
    assert is_alike(
        "dict(tuple('a', 1), tuple('b', tuple(8)))", "dict(tuple('a', 1.0), tuple('b', list(8)))"
    )
    assert is_alike("0.5", "np.float64(0.5)")
    assert not is_alike("10", "1.05")


def test_a_change_of_type_is_seen():
    before = built_from(MultiTaskNetRegressor(penalty=TaskRelations(relations())))
    changed = MultiTaskNetRegressor(penalty=TaskRelations(relations().astype(np.float32)))
    with pytest.raises(ValueError, match=r"Found `penalty = TaskRelations\("):
        check_unchanged(changed, before)


def test_warm_start_does_not_go_on_with_other_relations():
    random = np.random.default_rng(0)
    X = random.normal(size=(30, 2))
    Y = pd.DataFrame(random.normal(size=(30, 60)), columns=NAMES)
    est = MultiTaskNetRegressor(
        penalty=TaskRelations(relations()), max_epochs=1, warm_start=True, random_state=0
    ).fit(X, Y)
    est.set_params(penalty=TaskRelations(relations())).fit(X, Y)
    with pytest.raises(ValueError, match=r"with other values in what the repr leaves out\. Set"):
        est.set_params(penalty=TaskRelations(relations(0.5))).fit(X, Y)
